"""The pyramid of PSPNet: averages over 1, 2x2, 3x3 and 6x6 bins of a map, upsampled to the map.

    whole map, h x w units           a grid, b x b
    +-------+-------+                +---+---+
    | place |       |   -- pool -->  | o | o |   one 1x1 convolution per grid
    | of a  |       |                +---+---+
    +-------+-------+  <-- spread -- | o | o |   bilinear
    +-------+-------+                +---+---+

Both operations are linear and separable, so each is a small matrix per axis, and a piece of the map
uses its own rows of it. The contributions of pieces that partition the map add up to the grids of
the whole map, and the grids can be upsampled for one piece at a time.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

Grids = tuple[Tensor, Tensor, Tensor, Tensor]
"""(N, C, b, b) for b = 1, 2, 3, 6."""


class Place(NamedTuple):
    """The position of a piece's first unit in the whole map, and the size of that map; in units."""

    row: int
    col: int
    height: int
    width: int


def pool(x: Tensor, place: Place | None) -> Grids:
    """Return the averages of a map (N, C, h, w), or the contributions of the piece at ``place``."""
    found = _whole(x) if place is None else place
    x = x.contiguous(memory_format=torch.channels_last)
    return _share(x, 1, found), _share(x, 2, found), _share(x, 3, found), _share(x, 6, found)


class Pyramid(nn.Module):
    """A convolution of each grid, upsampled to the map. Keys ``convs.0`` ... ``convs.3``.

    Args:
        convs: convolutions of the grids of b = 1, 2, 3, 6 bins.
        aligned: whether the outermost values of a grid lie on the outermost units; otherwise
            half-pixel.
    """

    def __init__(self, convs: Iterable[nn.Conv2d], *, aligned: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.aligned = aligned

    def forward(self, x: Tensor, grids: Grids, place: Place | None) -> list[Tensor]:
        """Return four context maps (N, D, h, w) for a map (N, C, h, w), the piece at ``place``."""
        found = _whole(x) if place is None else place
        return [
            _spread(conv(grid), x, found, self.aligned)
            for conv, grid in zip(self.convs, grids, strict=True)
        ]


def _whole(x: Tensor) -> Place:
    """Return the place of a map that is not a piece of a larger one."""
    return Place(0, 0, x.shape[2], x.shape[3])


def _share(x: Tensor, bins: int, place: Place) -> Tensor:
    """Contributions of a piece to a grid: (N, C, h, w) -> (N, C, b, b)."""
    down = _averages(bins, place.height, place.row, x.shape[2]).to(x)
    right = _averages(bins, place.width, place.col, x.shape[3]).to(x)
    return _along(right, _along(down, x.permute(0, 3, 2, 1))).permute(0, 3, 2, 1)


def _averages(bins: int, size: int, start: int, count: int) -> Tensor:
    """Return the matrix (b, count) of adaptive average pooling for units from ``start`` on.

    Bin i of n units has the units floor(i n / b) to ceil((i + 1) n / b) - 1; bins may overlap.
    """
    i, unit = torch.arange(bins)[:, None], torch.arange(start, start + count)
    first, stop = i * size // bins, ((i + 1) * size + bins - 1) // bins
    inside = (first <= unit) & (unit < stop)
    return inside.double() / (stop - first)


def _spread(grid: Tensor, x: Tensor, place: Place, aligned: bool) -> Tensor:  # noqa: FBT001 TorchScript
    """Upsample (N, D, b, b) to (N, D, h, w), the part of the upsampled grid that lies on ``x``."""
    bins = grid.shape[3]
    down = _tents(bins, place.height, place.row, x.shape[2], aligned).to(x)
    right = _tents(bins, place.width, place.col, x.shape[3], aligned).to(x)
    return _along(down, _along(right, grid.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def _along(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply (m, q) with the third axis of (N, p, q, C) -> (N, m, p, C), axes swapped.

    Channels stay last, as in the runtime, so that a large map is copied neither here nor in the
    concatenation. Copies took a fifth of a forward pass (50 layers, width 0.25).
    """
    y = matrix @ x.transpose(1, 2).flatten(2)
    return y.reshape(x.shape[0], matrix.shape[0], x.shape[1], x.shape[3])


def _tents(bins: int, size: int, start: int, count: int, aligned: bool) -> Tensor:  # noqa: FBT001
    """Return the matrix (count, b) of bilinear upsampling for units from ``start`` of ``size``."""
    unit = torch.arange(start, start + count, dtype=torch.float64)[:, None]
    if aligned:
        position = unit * (bins - 1) / max(1, size - 1)
    else:
        position = ((unit + 0.5) * bins / size - 0.5).clamp(0, bins - 1)
    return (1 - (position - torch.arange(bins)).abs()).clamp(min=0)
