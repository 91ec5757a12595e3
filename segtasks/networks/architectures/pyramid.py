"""PSPNet's pyramid: averages over 1, 2x2, 3x3 and 6x6 bins of a whole map, spread over it again.

    whole map, h x w units           a grid, b x b
    +-------+-------+                +---+---+
    | place |       |   -- pool -->  | o | o |   one 1x1 convolution per grid
    | of a  |       |                +---+---+
    +-------+-------+  <-- spread -- | o | o |   bilinear
    +-------+-------+                +---+---+

Both are linear and separable, so each is one small matrix per axis, and a piece of the map takes
its own rows of it: shares of pieces that partition the map add up to the whole map's grids, and
context can be spread over one piece at a time.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

Grids = tuple[Tensor, Tensor, Tensor, Tensor]
"""(N, C, b, b) for b = 1, 2, 3, 6."""


class Place(NamedTuple):
    """Where a map's first unit lies in the whole map, and the whole map's size; in units."""

    row: int
    col: int
    height: int
    width: int


def pool(x: Tensor, place: Place | None) -> Grids:
    """Averages of a whole map (N, C, h, w), or the share in them of the piece at ``place``."""
    found = _whole(x) if place is None else place
    x = x.contiguous(memory_format=torch.channels_last)
    return _share(x, 1, found), _share(x, 2, found), _share(x, 3, found), _share(x, 6, found)


class Pyramid(nn.Module):
    """A convolution for each grid, then the grid spread over the map. Keys ``convs.0`` ... ``.3``.

    Args:
        convs: for b = 1, 2, 3, 6.
        aligned: the outermost values of a grid lie on the outermost units; else half-pixel.
    """

    def __init__(self, convs: Iterable[nn.Conv2d], *, aligned: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.aligned = aligned

    def forward(self, x: Tensor, grids: Grids, place: Place | None) -> list[Tensor]:
        """The context of a map (N, C, h, w), the piece at ``place``: four times (N, D, h, w)."""
        found = _whole(x) if place is None else place
        return [
            _spread(conv(grid), x, found, self.aligned)
            for conv, grid in zip(self.convs, grids, strict=True)
        ]


def _whole(x: Tensor) -> Place:
    """The place of a map that is not a piece of another."""
    return Place(0, 0, x.shape[2], x.shape[3])


def _share(x: Tensor, bins: int, place: Place) -> Tensor:
    """(N, C, h, w) -> (N, C, b, b)."""
    down = _averages(bins, place.height, place.row, x.shape[2]).to(x)
    right = _averages(bins, place.width, place.col, x.shape[3]).to(x)
    return _along(right, _along(down, x.permute(0, 3, 2, 1))).permute(0, 3, 2, 1)


def _averages(bins: int, size: int, start: int, count: int) -> Tensor:
    """Adaptive average pooling along one axis, for units from ``start`` on: (b, count).

    Of n units bin i has floor(i n / b) to ceil((i + 1) n / b) - 1: bins may share a unit.
    """
    i, unit = torch.arange(bins)[:, None], torch.arange(start, start + count)
    first, stop = i * size // bins, ((i + 1) * size + bins - 1) // bins
    inside = (first <= unit) & (unit < stop)
    return inside.double() / (stop - first)


def _spread(grid: Tensor, x: Tensor, place: Place, aligned: bool) -> Tensor:  # noqa: FBT001 TorchScript
    """(N, D, b, b) -> (N, D, h, w): the part of the enlarged grid that lies on ``x``."""
    bins = grid.shape[3]
    down = _tents(bins, place.height, place.row, x.shape[2], aligned).to(x)
    right = _tents(bins, place.width, place.col, x.shape[3], aligned).to(x)
    return _along(down, _along(right, grid.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def _along(matrix: Tensor, x: Tensor) -> Tensor:
    """(m, q) times the third axis of (N, p, q, C) -> (N, m, p, C); twice: rows first again.

    Channels stay innermost, as the runtime has them: a large map is neither copied here nor when
    it is joined with others. Copies were a fifth of a forward pass (50 layers, width 0.25).
    """
    y = matrix @ x.transpose(1, 2).flatten(2)
    return y.reshape(x.shape[0], matrix.shape[0], x.shape[1], x.shape[3])


def _tents(bins: int, size: int, start: int, count: int, aligned: bool) -> Tensor:  # noqa: FBT001
    """Bilinear weights along one axis, for units from ``start`` of ``size``: (count, b)."""
    unit = torch.arange(start, start + count, dtype=torch.float64)[:, None]
    if aligned:
        position = unit * (bins - 1) / max(1, size - 1)
    else:
        position = ((unit + 0.5) * bins / size - 0.5).clamp(0, bins - 1)
    return (1 - (position - torch.arange(bins)).abs()).clamp(min=0)
