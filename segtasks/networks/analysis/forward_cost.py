"""What a forward pass costs: multiply-adds, parameters, activation memory. Nothing is computed.

The network runs on torch's ``meta`` device: shapes flow, numbers do not, any width takes
milliseconds.
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
"""Side of the square the figures per pixel are taken from."""


def parameters(module: nn.Module) -> int:
    """Number of parameters, frozen ones included (as the papers count)."""
    return sum(parameter.numel() for parameter in module.parameters())


def gmac(module: nn.Module, *, bands: int, height: int, width: int) -> float:
    """Multiply-adds of all (de)convolutions for one image of height x width px, 1e9."""
    counter = FlopCounterMode(display=False)
    # With gradients: strips, and the rows they share, are the runtime's affair.
    with torch.enable_grad():
        _meta_forward(module, (1, bands, height, width), counter)
    return float(counter.get_total_flops()) / 2e9


def gmac_per_mpx(module: nn.Module, *, bands: int) -> float:
    """1e9 multiply-adds per 1e6 input pixels, for a patch of 1024 px."""
    return gmac(module, bands=bands, height=_SIDE_PX, width=_SIDE_PX) / (_SIDE_PX**2 / 1e6)


def forward_bytes_per_px(module: nn.Module, *, bands: int) -> int:
    """Peak bytes of live float32 tensors in one forward pass, per input pixel, input included.

    A frame such as FCN's pad 100 weighs more on small patches, and large ones go in strips; the
    figure is for 512 px, so it is an upper bound from there on. Weights and scratch memory
    inside oneDNN or cuDNN are not in it.
    """
    with torch.inference_mode():
        return _live_bytes_per_px(module, bands)


def whole_forward_bytes_per_px(module: nn.Module, *, bands: int) -> int:
    """As `forward_bytes_per_px`, of a network that does not go in strips: a graph made of it.

    Args:
        module: without a parameter that asks for gradients: they would keep every map alive.
        bands: C.
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
    """Run an image's shape (N, C, H, W) through the network in eval mode, under ``watcher``."""
    state = {key: value.to("meta") for key, value in module.state_dict().items()}
    image = torch.empty(shape, device="meta")
    training = module.training
    with watcher:
        functional_call(module.eval(), state, (image,))
    module.train(training)


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own base
    """Adds up storages when they are made, takes them off when they die; keeps the peak."""

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
                self._watch(tensor.untyped_storage())
        return made

    def _watch(self, storage: torch.UntypedStorage) -> None:
        """Count a storage once, from now until it is freed."""
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        """A storage was freed."""
        self._live -= size
