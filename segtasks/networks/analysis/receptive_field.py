"""Measure the receptive field, the exact halo and the effective halo of a network.

    output pixel y depends on inputs y - left ... y + right; both vary with the phase of y

    |<- halo ->|<----- core, cut on the lattice ----->|<- halo ->|
               ^ phase 0: needs left                 ^ phase s-1: needs right

With positive weights, average pools instead of max pools and no biases, a network is linear and no
terms cancel: an impulse reaches exactly the outputs that depend on its pixel.
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
"""An operator that reaches further counts as global: it has no finite halo."""
_IMPULSES_AT_ONCE = 4


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of an output pixel y along one axis, per phase y mod lattice.

    Attributes:
        left: pixels before the output pixel, per phase.
        right: pixels after the output pixel, per phase.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def lattice_px(self) -> int:
        """The lattice, which is the number of phases."""
        return len(self.left)

    @property
    def size_px(self) -> int:
        """The largest receptive field of all phases, the pixel itself included."""
        return max(left + 1 + right for left, right in zip(self.left, self.right, strict=True))

    @property
    def need_px(self) -> tuple[int, int]:
        """Pixels that a core cut on the lattice needs before its first and after its last pixel."""
        last = self.lattice_px - 1
        before = max(left - phase for phase, left in enumerate(self.left))
        after = max(right - (last - phase) for phase, right in enumerate(self.right))
        return max(0, before), max(0, after)

    @property
    def halo_px(self) -> int:
        """The exact halo: the least multiple of the lattice with which tiled equals whole."""
        return -(-max(self.need_px) // self.lattice_px) * self.lattice_px


@runtime_checkable
class Nonlinear(Protocol):
    """A layer that is no convolution or pool and provides a linear layer with the same field."""

    def linearised(self) -> nn.Module:
        """Return the layer to measure instead: linear, with positive weights and no bias."""


def receptive_field(module: nn.Module, *, bands: int, lattice_px: int) -> ReceptiveField | None:
    """Measure the receptive field of a network; None if an operator is global.

    Receptive fields do not depend on channel counts, so pass the network at its smallest width; it
    takes about a second.

    Args:
        module: any network of convolutions, pools and upsampling.
        bands: number of input bands.
        lattice_px: total stride of the network, px.
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
    """Return a linear float64 copy in eval mode: positive weights, no biases, average pools."""
    copy = deepcopy(module).double().eval()
    with torch.no_grad():
        for layer in copy.modules():
            _make_positive(layer)
    _replace_nonlinear(copy)
    return copy


def _make_positive(layer: nn.Module) -> None:
    """Set equal weights that sum to one per output; normalisation becomes the identity."""
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 the only common base
        layer.reset_running_stats()
        layer.reset_parameters()
    elif isinstance(layer, nn.modules.conv._ConvNd):  # noqa: SLF001 the only common base
        layer.weight.fill_(layer.weight.shape[0] / layer.weight.numel())
        if layer.bias is not None:
            layer.bias.zero_()
    elif isinstance(layer, Doubling):
        # A ReLU behind it would cut off what the negative taps of the cubic kernel reach.
        far, near, at, beyond = layer.taps
        layer.taps = abs(far), abs(near), abs(at), abs(beyond)


def _replace_nonlinear(module: nn.Module) -> None:
    """Replace max pools by average pools of the same geometry and unpools by whole windows.

    Other nonlinear layers provide their own replacement, see `Nonlinear`.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            setattr(module, name, _average_pool(child))
        elif isinstance(child, nn.MaxUnpool2d):
            setattr(module, name, _WholeWindows(child))
        elif isinstance(child, Nonlinear):
            setattr(module, name, child.linearised())
        else:
            _replace_nonlinear(child)


def _average_pool(pool: nn.MaxPool2d) -> nn.Module:
    """Return an average pool of the same geometry; it replaces the indices too, if returned."""
    average = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
    return _Twice(average) if pool.return_indices else average


class _Twice(nn.Module):
    """Averages for a max pool and for its indices: both depend on the whole window."""

    def __init__(self, average: nn.AvgPool2d) -> None:
        super().__init__()
        self.average = average

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> averages for the maxima, averages for the indices."""
        y: Tensor = self.average(x)
        return y, y


class _WholeWindows(nn.Module):
    """An unpool that puts a value everywhere in its window, since its index may be any of them."""

    def __init__(self, unpool: nn.MaxUnpool2d) -> None:
        super().__init__()
        self.factor = unpool.kernel_size

    def forward(self, x: Tensor, where: Tensor, size: list[int]) -> Tensor:
        """(N, C, H', W') twice -> (N, C, *size)."""
        spread = functional.interpolate(x + where, scale_factor=self.factor, mode="nearest")
        return spread[:, :, : size[0], : size[1]]


def _extents(linear: nn.Module, bands: int, lattice_px: int, length: int) -> ReceptiveField | None:
    """Measure extents by one impulse per input phase; None if one reaches the end of the strip."""
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
    """Yield for each input column which outputs (length,) of a 1 px high strip depend on it."""
    strips = torch.zeros(len(cols), bands, 1, length, dtype=torch.float64)
    strips[range(len(cols)), :, :, list(cols)] = 1.0
    with torch.inference_mode():
        reached = (linear(strips) != 0).any(dim=1).any(dim=1)
    return zip(cols, reached, strict=True)


def effective_halo_px(
    forward: Callable[[Tensor], Tensor], samples: Tensor, *, share: float = 0.99
) -> int:
    """Return the half-width of the square that holds ``share`` of the squared gradient, px.

    The gradient is that of the largest logit at the centre. The effective receptive field of a
    trained network is a fraction of its receptive field: Luo et al. 2016, arXiv:1701.04128.

    Args:
        forward: the trained network in eval mode.
        samples: normalised tiles (N, C, H, W), larger than the receptive field.
        share: share of the squared gradient, summed over bands and tiles.
    """
    return half_width(gradient_energy(forward, samples), share)


def gradient_energy(forward: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Return the squared gradient of the largest logit at the centre, summed over bands and tiles.

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
    """Return the least Chebyshev distance from the centre that holds a share of energy (H, W)."""
    rows = (torch.arange(energy.shape[0]) - energy.shape[0] // 2).abs()
    cols = (torch.arange(energy.shape[1]) - energy.shape[1] // 2).abs()
    distance = torch.maximum(rows[:, None], cols[None, :]).flatten()
    inside = torch.bincount(distance, weights=energy.flatten()).cumsum(0)
    return int((inside < share * inside[-1]).sum())
