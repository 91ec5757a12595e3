"""Downsampling by 2 as imresize of MATLAB: bicubic, with the kernel widened by the step.

    in    . . . . . . . .     output pixel i lies between input pixels 2i and 2i + 1
    out    o   o   o   o

An output pixel depends on four input pixels on each side. The layer is the transpose of `Doubling`
and has its taps.
"""

import torch
from torch import Tensor, nn

from segtasks.networks.architectures.doubling import TAPS, Taps


class Halving(nn.Module):
    """(N, C, 2h, 2w) -> (N, C, h, w); the image is mirrored beyond the border."""

    def __init__(self, taps: Taps = TAPS) -> None:
        super().__init__()
        far, near, at, beyond = taps
        side = [far / 2, beyond / 2, near / 2, at / 2]
        self.window = [*side, *side[::-1]]
        self.taps = taps

    def linearised(self) -> nn.Module:
        """Return the layer with positive taps, so that no contributions of a pixel cancel."""
        far, near, at, beyond = self.taps
        return Halving((abs(far), abs(near), abs(at), abs(beyond)))

    def forward(self, x: Tensor) -> Tensor:
        """Halve both axes."""
        window = torch.tensor(self.window, dtype=x.dtype, device=x.device)
        return _halve(_halve(x, 2, window), 3, window)


def _halve(x: Tensor, axis: int, window: Tensor) -> Tensor:
    """Halve one axis."""
    size = x.shape[axis]
    index = torch.arange(-3, size + 3, device=x.device) % (2 * size)
    mirrored = x.index_select(axis, torch.minimum(index, 2 * size - 1 - index))
    return mirrored.unfold(axis, 8, 2) @ window
