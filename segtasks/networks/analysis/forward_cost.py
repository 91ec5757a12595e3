"""Measure the cost of a forward pass: multiply-adds, parameters, activation memory.

The network runs on torch's ``meta`` device, which propagates shapes and computes no values, so this
takes milliseconds at any width.
"""

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_SIDE_PX = 1024
"""Side of the square image that the figures per pixel are measured on."""


def parameters(module: nn.Module) -> int:
    """Return the number of parameters, frozen ones included (as the papers count)."""
    return sum(parameter.numel() for parameter in module.parameters())


def gmac(module: nn.Module, *, bands: int, height: int, width: int) -> float:
    """Return the 1e9 multiply-adds of all (de)convolutions for one image of height x width px."""
    counter = FlopCounterMode(display=False)
    # With gradients enabled, networks do not run in strips, whose shared rows would count twice.
    with torch.enable_grad():
        _meta_forward(module, (1, bands, height, width), counter)
    return float(counter.get_total_flops()) / 2e9


def gmac_per_mpx(module: nn.Module, *, bands: int) -> float:
    """Return the 1e9 multiply-adds per 1e6 input pixels, for a patch of 1024 px."""
    return gmac(module, bands=bands, height=_SIDE_PX, width=_SIDE_PX) / (_SIDE_PX**2 / 1e6)


def forward_bytes_per_px(module: nn.Module, *, bands: int) -> int:
    """Return the peak bytes of live float32 tensors in a forward pass, per input pixel.

    The input counts; weights and scratch memory of oneDNN or cuDNN do not. The figure is measured
    at 512 px and is an upper bound for larger patches: padding such as FCN's 100 px weighs less on
    them, and they run in strips.
    """
    with torch.inference_mode():
        return _live_bytes_per_px(module, bands)


def whole_forward_bytes_per_px(module: nn.Module, *, bands: int) -> int:
    """Return `forward_bytes_per_px` for a network that does not run in strips, as a graph.

    Args:
        module: the network; no parameter may require gradients, which would keep every map alive.
        bands: number of input bands.
    """
    with torch.enable_grad():
        return _live_bytes_per_px(module, bands)


def _live_bytes_per_px(module: nn.Module, bands: int) -> int:
    side = _SIDE_PX // 2
    live = _LiveBytes()
    _meta_forward(module, (1, bands, side, side), live)
    return -(-(live.peak + 4 * bands * side**2) // side**2)


def _meta_forward(
    module: nn.Module, shape: tuple[int, int, int, int], watcher: AbstractContextManager[object]
) -> None:
    """Run an image (N, C, H, W) through the network in eval mode within ``watcher``."""
    state = {key: value.to("meta") for key, value in module.state_dict().items()}
    image = torch.empty(shape, device="meta")
    training = module.training
    with watcher:
        functional_call(module.eval(), state, (image,))
    module.train(training)


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own base
    """Track the total size of live storages and its peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own base
        self.peak = 0
        self._live = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 torch's own signature
        args: Any = (),  # noqa: ANN401
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        """Count a storage once, from now until it is freed."""
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        """Subtract a storage that was freed."""
        self._live -= size
