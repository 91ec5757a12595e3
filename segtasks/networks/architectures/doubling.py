"""Upsampling by 2, with three published methods.

    out   . o . o . o . o     bicubic, bilinear: pixels lie between units, at 1/4 and 3/4
    in      O   O   O   O     align_corners: the outermost pixels lie on the outermost units

Positions do not depend on the size of the map, except with align_corners.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.errors import ModelError

Taps = tuple[float, float, float, float]
_METHODS = ("bicubic", "bilinear", "align_corners")
# Keys' cubic with a = -0.5 at distances 1.75, 0.75, 0.25, 1.25; torch's own bicubic has -0.75.
TAPS = (-0.0234375, 0.2265625, 0.8671875, -0.0703125)


class Doubling(nn.Module):
    """(N, C, h, w) -> (N, C, 2h, 2w), or (N, C, 4h, 4w) for two times.

    Args:
        method: ``bicubic`` equals imresize of MATLAB: the map is mirrored beyond the border, with
            its outermost values repeated. ``bilinear`` and ``align_corners`` are those of torch.
        times: number of doublings.

    Raises:
        ModelError: the method is unknown.
    """

    def __init__(self, method: str, times: int = 1) -> None:
        super().__init__()
        if method not in _METHODS:
            valid = ", ".join(_METHODS)
            raise ModelError(f"upsampling {method!r} is unknown; choose one of {valid}")
        self.method = method
        self.times = times
        self.taps = TAPS

    def forward(self, x: Tensor) -> Tensor:
        """Double both axes."""
        for _ in range(self.times):
            x = _double(x, self.method, self.taps)
        return x


def _double(x: Tensor, method: str, taps: Taps) -> Tensor:
    """(N, C, h, w) -> (N, C, 2h, 2w)."""
    if method == "bicubic":
        return _cubic(_cubic(x, 2, taps), 3, taps)
    aligned = method == "align_corners"
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=aligned)


def _cubic(x: Tensor, axis: int, taps: Taps) -> Tensor:
    """Double one axis. Pixel 2i lies at unit i - 1/4, pixel 2i + 1 at i + 1/4."""
    size = x.shape[axis]
    index = torch.arange(-2, size + 2, device=x.device) % (2 * size)
    mirrored = x.index_select(axis, torch.minimum(index, 2 * size - 1 - index))
    far, near, at, beyond = taps
    a, b, c, d, e = [mirrored.narrow(axis, start, size) for start in range(5)]
    even = far * a + near * b + at * c + beyond * d
    odd = beyond * b + at * c + near * d + far * e
    return torch.stack((even, odd), dim=axis + 1).flatten(axis, axis + 1)
