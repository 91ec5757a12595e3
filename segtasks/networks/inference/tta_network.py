"""A network with test-time augmentation: a network itself, which returns fused logits.

    x --> resized --> symmetry --> network --> symmetry undone --> resized back --.
     '--> resized --> symmetry --> network --> symmetry undone --> resized back --+--> fused logits

Chen et al. 2018 (arXiv:1606.00915, sec. 3.2) take the maximum of logits over scales, Zhao et al.
2017 (arXiv:1612.01105, sec. 5.2) the mean of probabilities over scales and mirror images, their
Caffe code the mean of logits over mirror images.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import torch
from torch import Tensor, nn

from segtasks.config.inference import Angles, Fusion
from segtasks.networks.architectures.layers import pad_to
from segtasks.networks.inference.runtime import Runtime
from segtasks.networks.inference.tta import TestTimeAugmentation


def with_tta(
    net: Runtime, modes: TestTimeAugmentation, lattice_px: int, mirror_remainder_px: int
) -> Runtime:
    """Return the runtime of the network with augmentation; ``net`` itself if there is none."""
    if modes.is_plain:
        return net
    module = TtaNetwork(net.module, modes, lattice_px, mirror_remainder_px, layout=net.layout)
    return replace(net, module=module)


class TtaNetwork(nn.Module):
    """Any network with test-time augmentation.

    Args:
        module: (N, C, H, W) -> logits (N, K, H, W), any H, W.
        modes: scales, symmetries and fusion.
        lattice_px: lattice of the network, px.
        mirror_remainder_px: mirror images are padded with zeros at the bottom and right to
            ``lattice_px`` k + this, as the network itself pads. At that size their units lie on the
            same pixels as those of the image.
        layout: memory format of the network's input.
    """

    def __init__(
        self,
        module: nn.Module,
        modes: TestTimeAugmentation,
        lattice_px: int,
        mirror_remainder_px: int,
        *,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        super().__init__()
        self.module = module
        self.modes = modes
        self.frame = (lattice_px, mirror_remainder_px)
        self.layout = layout

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W), whose softmax is the fused probabilities."""
        rule = _RULES[self.modes.fusion]
        views = self.view_logits(x)
        total = rule.term(next(views))
        for logits in views:
            total = rule.join(total, rule.term(logits))
        return rule.finish(total, self.modes.forwards)

    def view_logits(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the logits (N, K, H, W) of each scale and symmetry."""
        for scale in self.modes.scales:
            resized = resize(x, scale, [ceil(side * scale) for side in x.shape[2:]])
            for logits in self._symmetric_logits(resized):
                yield resize(logits, 1 / scale, list(x.shape[2:]))

    def _symmetric_logits(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the logits (N, K, H, W) of each symmetry."""
        symmetries = SYMMETRIES[self.modes.angles]
        padded = x if len(symmetries) == 1 else pad_to(x, *self.frame)
        for symmetry in symmetries:
            # A name for the view would keep it alive, which costs memory.
            logits = self.module(symmetry.apply(padded).contiguous(memory_format=self.layout))
            logits = symmetry.undo(logits)[:, :, : x.shape[2], : x.shape[3]]
            # Half precision is too coarse for sums.
            yield logits.to(torch.promote_types(logits.dtype, torch.float32))


def resize(x: Tensor, scale: Fraction, size: list[int]) -> Tensor:
    """(N, C, H, W) -> (N, C, *size), bilinear: pixel i lies at (i + 0.5) / scale - 0.5.

    Where pixel i lies does not depend on the size, and two patches agree if origin x scale is whole
    in both. Positions are computed in float64: in float32 they drift by 1e-4 px along a patch.
    """
    if scale == 1:
        return x
    out = x.new_empty((*x.shape[:2], *size))
    zoom = float(scale)
    # Plane by plane, since a float64 map of all classes needs more memory than a forward pass.
    for channel in range(x.shape[1]):
        plane = x[:, channel : channel + 1].double()
        # interpolate takes a size or a scale; here the size is rounded up and the scale exact.
        out[:, channel : channel + 1] = torch.ops.aten.upsample_bilinear2d(
            plane, size, align_corners=False, scales_h=zoom, scales_w=zoom
        )
    return out


@dataclass(frozen=True)
class Symmetry:
    """One of the square's eight symmetries: transposed or not, then flipped along ``dims``."""

    is_transposed: bool
    dims: tuple[int, ...]

    def apply(self, x: Tensor) -> Tensor:
        """Permute the pixels of (N, C, H, W)."""
        return self._flip(x.transpose(2, 3) if self.is_transposed else x)

    def undo(self, y: Tensor) -> Tensor:
        """Invert `apply`."""
        x = self._flip(y)
        return x.transpose(2, 3) if self.is_transposed else x

    def _flip(self, x: Tensor) -> Tensor:
        return x.flip(self.dims) if self.dims else x


_FLIPS = tuple(Symmetry(is_transposed=False, dims=dims) for dims in ((), (3,), (2,), (2, 3)))
SYMMETRIES: Mapping[Angles, tuple[Symmetry, ...]] = {
    "none": _FLIPS[:1],
    "mirror": _FLIPS[:2],
    "flips": _FLIPS,
    "d4": (*_FLIPS, *(replace(flip, is_transposed=True) for flip in _FLIPS)),
}


@dataclass(frozen=True)
class _Rule:
    """A fusion rule: the term of one view, the sum of two terms, and the logits of the total."""

    term: Callable[[Tensor], Tensor]
    join: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[Tensor, int], Tensor]


def _identity(logits: Tensor, _count: int = 1) -> Tensor:
    return logits


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)


def _log(total: Tensor, _count: int) -> Tensor:
    """Return logits whose softmax is the mean; underflowed probabilities stay finite."""
    return total.clamp_(min=torch.finfo(total.dtype).tiny).log_()


_RULES: Mapping[Fusion, _Rule] = {
    "mean_probabilities": _Rule(_softmax, Tensor.add_, _log),
    "max_logits": _Rule(_identity, torch.maximum, _identity),
    "mean_logits": _Rule(_identity, torch.add, torch.div),
}
