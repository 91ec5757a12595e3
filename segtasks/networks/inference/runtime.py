"""Run a network as fast as this machine can, and always the same way.

Folded BatchNorm, channels_last, packed weights and a tuned malloc are worth 3 to 5 times the plain
loop on a CPU.

What torch would compute on.
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
from segtasks.networks.inference.forms import FORMS, USUAL, forms_on

logger = logging.getLogger("segtasks")
Patches = NDArray[np.float32]

DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Net(Protocol):
    """What gives one map per class for patches: a network of ours, or a foreign graph.

    Attributes:
        batch: patches per forward on CUDA; halved for good when memory runs out.
    """

    batch: int

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def gives(self) -> Gives:
        """Whether a softmax is still to be taken."""

    def __call__(self, patches: Tensor) -> Tensor:
        """One forward pass: (N, C, H, W) on any device -> maps (N, K, H, W), float32."""


@dataclass
class Runtime:
    """A network of ours made ready on a device; see `Net`.

    Attributes:
        module: the network in its form.
        layout: of the input, as the form wants it.
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
        with torch.inference_mode(), repeatable(tf32=self.precision == "tf32"):
            logits: Tensor = self.module(x)
        return logits.float()


def repeatable(*, tf32: bool) -> AbstractContextManager[None]:
    """CuDNN with algorithms that repeat themselves.

    TF32 is torch's silent default for convolutions and changes labels; here it is a choice.
    ``enabled`` must be said: the context manager's own default is off.
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
    form: Form = USUAL,
) -> Runtime:
    """A copy of ``module`` that runs fast here: BatchNorm folded, in one of `forms.FORMS`.

    Args:
        module: any network; left as it is.
        device: ``cpu``, ``cuda`` or ``cuda:<n>``.
        precision: float32 is exact; bfloat16 and float16 are faster and change some labels; tf32
            exists on CUDA only.
        batch: most patches per forward on CUDA. No meaning on a CPU, where they run one by one.
        form: one of `forms.FORMS`.

    Raises:
        ModelError: no such precision or form, or the device is not there.
    """
    _check(device, precision, form)
    ready = deepcopy(module).eval().requires_grad_(requires_grad=False)
    fold_batch_norm(ready)
    ready = ready.to(torch.device(device), DTYPES[precision])
    how = FORMS[form]
    return Runtime(how.make(ready), torch.device(device), precision, max(1, batch), how.layout)


def _check(device: str, precision: Precision, form: Form) -> None:
    """Refuse what is not there."""
    if precision not in DTYPES:
        raise ModelError(f"precision {precision!r} is unknown; choose one of {', '.join(DTYPES)}")
    if precision == "tf32" and not device.startswith("cuda"):
        raise ModelError("precision tf32 is there on CUDA only; choose float32 or bfloat16")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {device!r} is not available here; choose cpu")
    kind = device.split(":", maxsplit=1)[0]
    possible = forms_on(kind)
    if form not in possible:
        raise ModelError(f"form {form!r} is not there on {kind}; choose {', '.join(possible)}")


def forward_patches(net: Net, patches: Patches) -> Patches:
    """Maps of normalised patches: (N, C, H, W), N >= 1 -> (N, K, H, W), float32, C order.

    They are logits, or what a foreign graph gives: their largest is the label either way.

    The same bytes for every batch setting on a CPU: oneDNN's results differ in the last bits
    between batch sizes, and batches never pay there, so patches run one by one.

    Raises:
        ResourceError: a single patch does not fit the GPU.
    """
    return _run(net, patches, _unchanged)


def forward_probabilities(net: Net, patches: Patches) -> Patches:
    """As `forward_patches`, with the softmax over classes taken on the device, if it is missing."""
    return _run(net, patches, _softmax if net.gives == "logits" else _unchanged)


def _unchanged(maps: Tensor) -> Tensor:
    return maps


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)


def _run(net: Net, patches: Patches, finish: Callable[[Tensor], Tensor]) -> Patches:
    """Forward all patches, piece by piece, into one array."""
    pieces = _one_by_one if net.device.type == "cpu" else _in_batches
    out = np.empty((0,), np.float32)
    done = 0
    for piece in pieces(net, patches, finish):
        if not done:
            out = np.empty((len(patches), *piece.shape[1:]), np.float32)
        # Written in place: the network's own layout is channels last, numpy's readers want C order.
        out[done : done + len(piece)] = piece.cpu().numpy()
        done += len(piece)
    return out


def _one_by_one(net: Net, patches: Patches, finish: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """One forward per patch."""
    for patch in patches:
        yield finish(net(torch.from_numpy(patch[None])))


def _in_batches(net: Net, patches: Patches, finish: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Batches as large as memory lets them be: halved when it does not, and not raised again."""
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
    """Halve the batch and give cached blocks back, so that the smaller one finds room."""
    if net.batch == 1:
        side = f"{patches.shape[2]} x {patches.shape[3]} px"
        raise ResourceError(
            f"one patch of {side} does not fit {net.device}; halve the patch size"
        ) from error
    net.batch //= 2
    torch.cuda.empty_cache()
    logger.warning("%s is out of memory; going on with %d patches at a time", net.device, net.batch)


def devices() -> list[str]:
    """Each CUDA device by name with its memory; empty where torch sees none."""
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"{each.name}, {each.total_memory / 2**30:.0f} GiB" for each in found]


def has_cuda_build() -> bool:
    """Whether this torch could use an NVIDIA GPU at all."""
    return torch.version.cuda is not None
