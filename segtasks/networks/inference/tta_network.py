"""A network at several scales and angles, fused: itself a network, logits out.

    x --> resized --> turned --> network --> turned back --> resized back --.
     '--> resized --> turned --> network --> turned back --> resized back --+--> fused logits

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
    """The runtime of the network with its modes; the network's own where there are none."""
    if modes.is_plain:
        return net
    module = TtaNetwork(net.module, modes, lattice_px, mirror_remainder_px, layout=net.layout)
    return replace(net, module=module)


class TtaNetwork(nn.Module):
    """Any network with modes.

    Args:
        module: (N, C, H, W) -> logits (N, K, H, W), any H, W.
        modes: scales, angles and fusion.
        lattice_px: of the network.
        mirror_remainder_px: turned images are padded to ``lattice_px`` k + this, as the network
            pads by itself: zeros at the bottom and right. There their units lie on the pixels of
            the image's own.
        layout: of the network's input.
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
        answers = self.answers(x)
        total = rule.term(next(answers))
        for logits in answers:
            total = rule.join(total, rule.term(logits))
        return rule.finish(total, self.modes.forwards)

    def answers(self, x: Tensor) -> Iterator[Tensor]:
        """Logits (N, K, H, W) of each scale and angle."""
        for scale in self.modes.scales:
            small = resize(x, scale, [ceil(side * scale) for side in x.shape[2:]])
            for logits in self._turned(small):
                yield resize(logits, 1 / scale, list(x.shape[2:]))

    def _turned(self, x: Tensor) -> Iterator[Tensor]:
        """Logits (N, K, H, W) of each angle."""
        turns = _TURNS[self.modes.angles]
        framed = x if len(turns) == 1 else pad_to(x, *self.frame)
        for turn in turns:
            logits = turn.undo(self.module(self._laid_out(turn.do(framed))))
            yield _at_least_float32(logits[:, :, : x.shape[2], : x.shape[3]])

    def _laid_out(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=self.layout)


def resize(x: Tensor, scale: Fraction, size: list[int]) -> Tensor:
    """(N, C, H, W) -> (N, C, *size), bilinear: pixel i lies at (i + 0.5) / scale - 0.5.

    The source map does not depend on the size, and begins anew wherever origin x scale is whole. It
    is computed in float64: in float32 it would drift by 1e-4 px along a patch.
    """
    if scale == 1:
        return x
    out = x.new_empty((*x.shape[:2], *size))
    zoom = float(scale)
    # Plane by plane, since a float64 map of all classes weighs more than a forward.
    for channel in range(x.shape[1]):
        plane = x[:, channel : channel + 1].double()
        # interpolate takes a size or a scale; the size rounds up and the map needs the scale.
        out[:, channel : channel + 1] = torch.ops.aten.upsample_bilinear2d(
            plane, size, align_corners=False, scales_h=zoom, scales_w=zoom
        )
    return out


def _at_least_float32(logits: Tensor) -> Tensor:
    """Half precision is too coarse to add up in."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


@dataclass(frozen=True)
class Symmetry:
    """One of the square's eight symmetries: transposed or not, then flipped along ``dims``."""

    is_transposed: bool
    dims: tuple[int, ...]

    def do(self, x: Tensor) -> Tensor:
        """Turn (N, C, H, W); no pixel changes its value."""
        return self._flip(x.transpose(2, 3) if self.is_transposed else x)

    def undo(self, y: Tensor) -> Tensor:
        """Turn back."""
        x = self._flip(y)
        return x.transpose(2, 3) if self.is_transposed else x

    def _flip(self, x: Tensor) -> Tensor:
        return x.flip(self.dims) if self.dims else x


_FLIPS = tuple(Symmetry(is_transposed=False, dims=dims) for dims in ((), (3,), (2,), (2, 3)))
_TURNS: Mapping[Angles, tuple[Symmetry, ...]] = {
    "none": _FLIPS[:1],
    "mirror": _FLIPS[:2],
    "flips": _FLIPS,
    "d4": (*_FLIPS, *(replace(turn, is_transposed=True) for turn in _FLIPS)),
}


@dataclass(frozen=True)
class _Rule:
    """How answers become one: each one's term, how terms join, and logits of the whole."""

    term: Callable[[Tensor], Tensor]
    join: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[Tensor, int], Tensor]


def _as_it_is(logits: Tensor, _count: int = 1) -> Tensor:
    return logits


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)


def _log(total: Tensor, _count: int) -> Tensor:
    """The softmax of the logarithm of a sum is the mean; what underflowed stays finite."""
    return total.clamp_(min=torch.finfo(total.dtype).tiny).log_()


_RULES: Mapping[Fusion, _Rule] = {
    "mean_probabilities": _Rule(_softmax, Tensor.add_, _log),
    "max_logits": _Rule(_as_it_is, torch.maximum, _as_it_is),
    "mean_logits": _Rule(_as_it_is, torch.add, torch.div),
}
