"""Receptive field and exact halo of a network, measured on the network itself.

    output pixel y depends on inputs y - left ... y + right; both change with y's phase

    |<- halo ->|<----- core, cut on the lattice ----->|<- halo ->|
               ^ phase 0: needs left                 ^ phase s-1: needs right

With positive weights, averages in place of maxima and no biases a network is linear and nothing
cancels: an impulse reaches exactly the outputs that depend on its pixel.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.doubling import Doubling

_LONGEST_PX = 16384
"""Beyond this an operator is taken for global: no finite halo."""
_IMPULSES_AT_ONCE = 4


@dataclass(frozen=True)
class ReceptiveField:
    """Extents of what an output pixel sees along one axis, per phase y mod lattice.

    Attributes:
        left: pixels before the output pixel, one per phase.
        right: pixels after it, one per phase.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def lattice_px(self) -> int:
        """Number of phases."""
        return len(self.left)

    @property
    def size_px(self) -> int:
        """The largest field of all phases, the pixel itself included."""
        return max(left + 1 + right for left, right in zip(self.left, self.right, strict=True))

    @property
    def need_px(self) -> tuple[int, int]:
        """What a core cut on the lattice needs before its first and after its last pixel."""
        last = self.lattice_px - 1
        before = max(left - phase for phase, left in enumerate(self.left))
        after = max(right - (last - phase) for phase, right in enumerate(self.right))
        return max(0, before), max(0, after)

    @property
    def halo_px(self) -> int:
        """The least multiple of the lattice with which tiled equals whole."""
        return -(-max(self.need_px) // self.lattice_px) * self.lattice_px


@runtime_checkable
class Nonlinear(Protocol):
    """A layer, no convolution or pool, that knows a linear one seeing the same pixels."""

    def linearised(self) -> nn.Module:
        """The layer to measure in its place: its weights are positive and nothing is added."""


def receptive_field(module: nn.Module, *, bands: int, lattice_px: int) -> ReceptiveField | None:
    """Measure a network; None when it sees the whole image (an operator is global).

    The extents do not depend on channel counts: give the narrowest form, it costs about a second.

    Args:
        module: any network of convolutions, pools and upsampling.
        bands: its input channels.
        lattice_px: its total stride.
    """
    linear = _linearised(module)
    length = 1024
    while length <= _LONGEST_PX:
        found = _extents(linear, bands, lattice_px, length)
        if found is not None:
            return found
        length *= 2
    return None


def _linearised(module: nn.Module) -> nn.Module:
    """A float64 copy in eval mode: positive weights, no biases, averages for maxima."""
    copy = deepcopy(module).double().eval()
    with torch.no_grad():
        for layer in copy.modules():
            _make_positive(layer)
    _spread_pools(copy)
    return copy


def _make_positive(layer: nn.Module) -> None:
    """Equal weights that sum to one per output; normalisation layers become the identity."""
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 the only common base
        layer.reset_running_stats()
        layer.reset_parameters()
    elif isinstance(layer, nn.modules.conv._ConvNd):  # noqa: SLF001 the only common base
        layer.weight.fill_(layer.weight.shape[0] / layer.weight.numel())
        if layer.bias is not None:
            layer.bias.zero_()
    elif isinstance(layer, Doubling):
        # A ReLU would cut what the cubic's negative taps reach.
        far, near, at, beyond = layer.taps
        layer.taps = abs(far), abs(near), abs(at), abs(beyond)


def _spread_pools(module: nn.Module) -> None:
    """Replace max pools by average pools of the same geometry, unpools by whole windows.

    What else is not linear says itself what stands for it.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            setattr(module, name, _averages(child))
        elif isinstance(child, nn.MaxUnpool2d):
            setattr(module, name, _WholeWindows(child))
        elif isinstance(child, Nonlinear):
            setattr(module, name, child.linearised())
        else:
            _spread_pools(child)


def _averages(pool: nn.MaxPool2d) -> nn.Module:
    """The averages of a pool's windows, in place of its indices too where it gives them."""
    average = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
    return _Twice(average) if pool.return_indices else average


class _Twice(nn.Module):
    """What the maximum and its index depend on is the same: the whole window."""

    def __init__(self, average: nn.AvgPool2d) -> None:
        super().__init__()
        self.average = average

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> averages for the maxima, averages for the indices."""
        y: Tensor = self.average(x)
        return y, y


class _WholeWindows(nn.Module):
    """An unpool of windows side by side that may put a value, and its index, anywhere in them."""

    def __init__(self, unpool: nn.MaxUnpool2d) -> None:
        super().__init__()
        self.factor = unpool.kernel_size

    def forward(self, x: Tensor, where: Tensor, size: list[int]) -> Tensor:
        """(N, C, H', W') twice -> (N, C, *size)."""
        spread = functional.interpolate(x + where, scale_factor=self.factor, mode="nearest")
        return spread[:, :, : size[0], : size[1]]


def _extents(linear: nn.Module, bands: int, lattice_px: int, length: int) -> ReceptiveField | None:
    """Extents from one impulse per input phase; None if any reaches the end of the strip."""
    middle = length // 2 // lattice_px * lattice_px
    left, right = [0] * lattice_px, [0] * lattice_px
    for start in range(middle, middle + lattice_px, _IMPULSES_AT_ONCE):
        stop = min(start + _IMPULSES_AT_ONCE, middle + lattice_px)
        for col, reached in _responses(linear, bands, length, range(start, stop)):
            if reached[0] or reached[-1]:
                return None
            for out in reached.nonzero().flatten().tolist():
                phase = out % lattice_px
                left[phase] = max(left[phase], out - col)
                right[phase] = max(right[phase], col - out)
    return ReceptiveField(tuple(left), tuple(right))


def _responses(
    linear: nn.Module, bands: int, length: int, cols: range
) -> Iterable[tuple[int, Tensor]]:
    """For each input column, which outputs (length,) of a 1 px high strip depend on it."""
    strips = torch.zeros(len(cols), bands, 1, length, dtype=torch.float64)
    strips[range(len(cols)), :, :, list(cols)] = 1.0
    with torch.inference_mode():
        reached = (linear(strips) != 0).any(dim=1).any(dim=1)
    return zip(cols, reached, strict=True)


def effective_halo_px(
    forward: Callable[[Tensor], Tensor], samples: Tensor, *, share: float = 0.99
) -> int:
    """Half-width of the square that holds ``share`` of the centre logit's squared gradient.

    Luo et al. 2016, arXiv:1701.04128: what a trained network really looks at is a fraction of its
    receptive field.

    Args:
        forward: the trained network in eval mode.
        samples: normalised tiles (N, C, H, W), larger than the receptive field.
        share: of the summed squared gradient of the largest logit at the centre.
    """
    return half_width(gradient_energy(forward, samples), share)


def gradient_energy(forward: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Squared gradient of the largest logit at the centre, summed over bands and tiles.

    Args:
        forward: the trained network in eval mode.
        samples: normalised tiles (N, C, H, W).

    Returns:
        (H, W), float64; the centre is at (H // 2, W // 2).
    """
    row, col = samples.shape[2] // 2, samples.shape[3] // 2
    energy = torch.zeros(samples.shape[2:], dtype=torch.float64)
    for sample in samples:
        x = sample[None].clone().requires_grad_()
        peak = forward(x)[0, :, row, col].max()
        (gradient,) = torch.autograd.grad(peak, x)
        energy += gradient[0].double().square().sum(dim=0).cpu()
    return energy


def half_width(energy: Tensor, share: float) -> int:
    """Least Chebyshev distance from the centre within which ``share`` of ``energy`` (H, W) lies."""
    rows = (torch.arange(energy.shape[0]) - energy.shape[0] // 2).abs()
    cols = (torch.arange(energy.shape[1]) - energy.shape[1] // 2).abs()
    distance = torch.maximum(rows[:, None], cols[None, :]).flatten()
    inside = torch.bincount(distance, weights=energy.flatten()).cumsum(0)
    return int((inside < share * inside[-1]).sum())
