"""The forms a network can be run in: the same function, other kernels and memory layouts.

Which is fastest depends on the network and the machine: packed for most on a CPU, frozen for few
channels at a fine stride and for PSPNet, compiled on some GPUs. They differ in the last bits, so a
job keeps to one form.
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
    """One way to run a network: how it is made, and the memory layout it wants its input in.

    Attributes:
        make: takes the network with BatchNorm folded, in eval mode, on its device; may change it.
        layout: of the input.
        devices: where it exists.
    """

    make: Callable[[nn.Module], nn.Module]
    layout: torch.memory_format
    devices: tuple[str, ...] = ("cpu", "cuda")


def _channels_last(module: nn.Module) -> nn.Module:
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub gap
    return module


def _packed(module: nn.Module) -> nn.Module:
    """Channels last; where this CPU can, convolutions with weights laid out beforehand."""
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
    """``torch.compile``; on a CPU it never won, and takes a minute."""
    module.compile(dynamic=False)
    return _channels_last(module)


FORMS: Mapping[FormName, Form] = {
    "packed": Form(_packed, torch.channels_last),
    "plain": Form(_plain, torch.contiguous_format),
    "frozen": Form(_frozen, torch.contiguous_format, ("cpu",)),
    "compiled": Form(_compiled, torch.channels_last, ("cuda",)),
}
USUAL: FormName = "packed"


def forms_on(device: str) -> tuple[FormName, ...]:
    """The forms that exist on ``cpu`` or ``cuda``."""
    return tuple(name for name, form in FORMS.items() if device in form.devices)


def timed(forwards: Mapping[K, Forward], sample: Tensor) -> dict[K, float]:
    """Median seconds of each forward on one input, taken in turn after two that do not count.

    Args:
        forwards: by any key.
        sample: an input (N, C, H, W).
    """
    taken: dict[K, list[float]] = {name: [] for name in forwards}
    for count in range(WARM_UPS + ROUNDS):
        for name, forward in forwards.items():
            found = _seconds(forward, sample)
            if count >= WARM_UPS:
                taken[name].append(found)
    return {name: statistics.median(times) for name, times in taken.items()}


def _seconds(forward: Forward, sample: Tensor) -> float:
    """Of one forward, the GPU waited for."""
    begun = time.perf_counter()
    y = forward(sample)
    if y.is_cuda:
        torch.cuda.synchronize(y.device)
    return time.perf_counter() - begun
