"""Run networks on patches, fast and reproducibly.

On a CPU, folded BatchNorm, channels_last, prepacked weights and a tuned malloc together make a
forward pass 3 to 5 times as fast as in plain torch.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segtasks.config.inference import Form, Precision
from segtasks.errors import ModelError, ResourceError
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.card import Gives
from segtasks.networks.inference.forms import DEFAULT, FORMS, forms_on

logger = logging.getLogger("segtasks")
Patches = NDArray[np.float32]

DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Net(Protocol):
    """A network that gives one map per class: a network of the registry or a foreign graph.

    Attributes:
        batch: patches per forward pass on CUDA; halved permanently when memory runs out.
    """

    batch: int

    @property
    def device(self) -> torch.device:
        """The device on which it computes."""

    @property
    def gives(self) -> Gives:
        """Whether the maps are logits or already probabilities."""

    def __call__(self, patches: Tensor) -> Tensor:
        """One forward pass: (N, C, H, W) on any device -> maps (N, K, H, W), float32."""


@dataclass
class Runtime:
    """A network of the registry on a device; see `Net`.

    Attributes:
        module: the network in its form.
        layout: memory format of the input that the form takes.
    """

    module: nn.Module
    device: torch.device
    precision: Precision
    batch: int
    layout: torch.memory_format = torch.channels_last
    gives: Gives = "logits"

    def __call__(self, patches: Tensor) -> Tensor:
        """One forward pass: (N, C, H, W) on any device -> logits (N, K, H, W), float32."""
        x = patches.to(self.device, DTYPES[self.precision], memory_format=self.layout)
        with torch.inference_mode(), deterministic_cudnn(tf32=self.precision == "tf32"):
            logits: Tensor = self.module(x)
        return logits.float()


def deterministic_cudnn(*, tf32: bool) -> AbstractContextManager[None]:
    """Make cuDNN use deterministic algorithms.

    TF32 is the default of torch for convolutions and changes labels; here it is an option.
    ``enabled`` must be passed, because the default of the context manager is off.
    """
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32
    )


def prepare(
    module: nn.Module,
    *,
    device: str = "cpu",
    precision: Precision = "float32",
    batch: int = 8,
    form: Form = DEFAULT,
) -> Runtime:
    """Return a copy of ``module`` for fast inference: BatchNorm folded, in one of `forms.FORMS`.

    Args:
        module: any network; it is not changed.
        device: ``cpu``, ``cuda`` or ``cuda:<n>``.
        precision: float32 is exact; bfloat16 and float16 are faster and change some labels; tf32
            exists on CUDA only.
        batch: maximum number of patches per forward pass on CUDA. Not used on a CPU, where patches
            run one by one.
        form: one of `forms.FORMS`.

    Raises:
        ModelError: the precision or form is unknown, or the device is not available.
    """
    _check(device, precision, form)
    ready = deepcopy(module).eval().requires_grad_(requires_grad=False)
    fold_batch_norm(ready)
    ready = ready.to(torch.device(device), DTYPES[precision])
    chosen = FORMS[form]
    net = chosen.make(ready)
    return Runtime(net, torch.device(device), precision, max(1, batch), chosen.layout)


def _check(device: str, precision: Precision, form: Form) -> None:
    """Refuse a precision, device or form that does not exist here."""
    if precision not in DTYPES:
        raise ModelError(f"precision {precision!r} is unknown; choose one of {', '.join(DTYPES)}")
    if precision == "tf32" and not device.startswith("cuda"):
        raise ModelError("precision tf32 is available on CUDA only; choose float32 or bfloat16")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {device!r} is not available here; choose cpu")
    kind = device.split(":", maxsplit=1)[0]
    possible = forms_on(kind)
    if form not in possible:
        raise ModelError(f"form {form!r} is not available on {kind}; choose {', '.join(possible)}")


def forward_patches(net: Net, patches: Patches) -> Patches:
    """Run normalised patches: (N, C, H, W), N >= 1 -> maps (N, K, H, W), float32, C order.

    The maps are logits or, from some foreign graphs, probabilities. The label is the index of the
    largest value in both cases.

    On a CPU the result has the same bytes for every batch setting: patches run one by one, because
    the results of oneDNN differ in the last bits between batch sizes, and batches are no faster.

    Raises:
        ResourceError: a single patch does not fit the GPU.
    """
    return _run(net, patches, _unchanged)


def forward_probabilities(net: Net, patches: Patches) -> Patches:
    """Run normalised patches as `forward_patches`, with a softmax over the classes of logits."""
    return _run(net, patches, _softmax if net.gives == "logits" else _unchanged)


def _unchanged(maps: Tensor) -> Tensor:
    return maps


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)


def _run(net: Net, patches: Patches, finish: Callable[[Tensor], Tensor]) -> Patches:
    """Run all patches, batch by batch, into one array."""
    pieces = _one_by_one if net.device.type == "cpu" else _in_batches
    out = np.empty((0,), np.float32)
    done = 0
    for piece in pieces(net, patches, finish):
        if not done:
            out = np.empty((len(patches), *piece.shape[1:]), np.float32)
        # Copied, since the maps are in channels last and the callers need C order.
        out[done : done + len(piece)] = piece.cpu().numpy()
        done += len(piece)
    return out


def _one_by_one(net: Net, patches: Patches, finish: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Run one forward pass per patch."""
    for patch in patches:
        yield finish(net(torch.from_numpy(patch[None])))


def _in_batches(net: Net, patches: Patches, finish: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Run batches; when memory runs out, halve the batch size permanently."""
    start = 0
    while start < len(patches):
        piece = torch.from_numpy(patches[start : start + net.batch])
        try:
            done = finish(net(piece))
        except torch.cuda.OutOfMemoryError as error:
            _halve(net, patches, error)
            continue
        yield done
        start += len(piece)


def _halve(net: Net, patches: Patches, error: Exception) -> None:
    """Halve the batch size and free cached blocks, so that the smaller batch fits."""
    if net.batch == 1:
        side = f"{patches.shape[2]} x {patches.shape[3]} px"
        raise ResourceError(
            f"one patch of {side} does not fit {net.device}; halve the patch size"
        ) from error
    net.batch //= 2
    torch.cuda.empty_cache()
    logger.warning(
        "%s is out of memory; continuing with %d patches at a time", net.device, net.batch
    )


def devices() -> list[str]:
    """Return the name and memory of each CUDA device; empty if torch finds none."""
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"{each.name}, {each.total_memory / 2**30:.0f} GiB" for each in found]


def has_cuda_build() -> bool:
    """Whether this build of torch supports NVIDIA GPUs."""
    return torch.version.cuda is not None
