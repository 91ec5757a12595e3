"""Forms of a network: the same function with other kernels and memory formats.

Which form is fastest depends on the network and the machine: packed for most networks on a CPU,
frozen for few channels at a fine stride and for PSPNet, compiled on some GPUs. The results of two
forms differ in the last bits, so a job uses one form throughout.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from segtasks.config.inference import Form as FormName
from segtasks.networks.inference.onednn import can_pack, pack

Forward = Callable[[Tensor], Tensor]
K = TypeVar("K")
WARM_UPS, ROUNDS = 2, 3


@dataclass(frozen=True)
class Form:
    """One form of a network: how it is made, and the memory format of its input.

    Attributes:
        make: makes it from the network on its device, in eval mode and with BatchNorm folded; may
            change the network in place.
        layout: memory format of the input.
        devices: kinds of devices on which the form exists.
    """

    make: Callable[[nn.Module], nn.Module]
    layout: torch.memory_format
    devices: tuple[str, ...] = ("cpu", "cuda")


def _channels_last(module: nn.Module) -> nn.Module:
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub gap
    return module


def _packed(module: nn.Module) -> nn.Module:
    """Channels last; on a CPU that supports it, fused convolutions with prepacked weights."""
    weight = next(module.parameters(), None)
    if weight is not None and weight.device.type == "cpu" and can_pack(weight.dtype):
        pack(_channels_last(module))
    return _channels_last(module)


def _plain(module: nn.Module) -> nn.Module:
    return module


def _frozen(module: nn.Module) -> nn.Module:
    """TorchScript's ``optimize_for_inference``: oneDNN's blocked layouts throughout."""
    frozen: nn.Module = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.script(module)))
    return frozen


def _compiled(module: nn.Module) -> nn.Module:
    """``torch.compile``; on CPUs it was never the fastest form, and compiling takes a minute."""
    module.compile(dynamic=False)
    return _channels_last(module)


FORMS: Mapping[FormName, Form] = {
    "packed": Form(_packed, torch.channels_last),
    "plain": Form(_plain, torch.contiguous_format),
    "frozen": Form(_frozen, torch.contiguous_format, ("cpu",)),
    "compiled": Form(_compiled, torch.channels_last, ("cuda",)),
}
DEFAULT: FormName = "packed"


def forms_on(device: str) -> tuple[FormName, ...]:
    """Return the forms that exist on ``cpu`` or ``cuda``."""
    return tuple(name for name, form in FORMS.items() if device in form.devices)


def timed(forwards: Mapping[K, Forward], sample: Tensor) -> dict[K, float]:
    """Return the median seconds of each forward pass on one input.

    The forwards take turns, so that load on the machine affects all alike. Warm-up rounds are not
    counted.

    Args:
        forwards: the forward passes, by any key.
        sample: the input (N, C, H, W).
    """
    taken: dict[K, list[float]] = {name: [] for name in forwards}
    for round_ in range(WARM_UPS + ROUNDS):
        for name, forward in forwards.items():
            seconds = _seconds(forward, sample)
            if round_ >= WARM_UPS:
                taken[name].append(seconds)
    return {name: statistics.median(times) for name, times in taken.items()}


def _seconds(forward: Forward, sample: Tensor) -> float:
    """Return the seconds of one forward pass; wait until the GPU has finished."""
    start = time.perf_counter()
    y = forward(sample)
    if y.is_cuda:
        torch.cuda.synchronize(y.device)
    return time.perf_counter() - start
