"""Outlines of the regions of a mask on the grid of pixel corners, traced tile by tile.

    +---<---+        An edge is one side of a pixel whose neighbour on that side has another class.
    |   0   |        It is followed with its pixel on the left: 0 west, 1 south, 2 east, 3 north.
    v1     3^        At a corner the outline turns left around its own pixel unless the next pixel
    |   2   |        has the same class, so regions are 4-connected. The next edge follows from the
    +--->---+        pixels around the corner: a tile needs one pixel of its neighbours, no more.

A vertex is kept where an outline turns, or where three or more outlines meet (a junction). Neither
depends on the tiles.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from segtasks.raster.grid import Window
from segtasks.raster.regions.connected_components import Bytes, Ints

Bools = npt.NDArray[np.bool_]

SIDES = ((-1, 0), (0, -1), (1, 0), (0, 1))
"""(row, column) of the neighbour at each side."""
STARTS = np.array([(0, 1), (0, 0), (1, 0), (1, 1)])
"""(row, column) of the pixel corner at which each side starts."""
CLOSED = -1
JUNCTION_DEGREE = 3


@dataclass(frozen=True, slots=True)
class Paths:
    """Parts of outlines: closed rings, and open chains that continue in another tile.

    Attributes:
        pixels: row and column (p, 2) in the tile of one pixel to the left of each path.
        firsts: key in the raster of each path's first edge (p,).
        nexts: key of the edge that follows each path's last edge (p,); `CLOSED` for rings.
        ends: end of each path's vertices (p,) in ``vertices``.
        vertices: row and column (n, 2) on the raster's grid of pixel corners, path by path.
        junctions: whether each vertex (n,) is a junction.
    """

    pixels: Ints
    firsts: Ints
    nexts: Ints
    ends: Ints
    vertices: Ints
    junctions: Bools

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fields as named arrays, for a tile's table in the workspace."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, index: Ints) -> Self:
        """Return the paths at ``index``."""
        begins = np.concatenate([[0], self.ends[:-1]])[: len(self.ends)]
        lengths = (self.ends - begins)[index]
        ends = np.cumsum(lengths)
        inner = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
        kept = np.repeat(begins[index], lengths) + inner
        return type(self)(
            self.pixels[index],
            self.firsts[index],
            self.nexts[index],
            ends,
            self.vertices[kept],
            self.junctions[kept],
        )


def outline_vertices(mask: Bytes) -> tuple[Bools, Bools]:
    """Find the vertices of outlines.

    Args:
        mask: class ids (h+2, w+2) of a window and one pixel around it.

    Returns:
        Which pixel corners (h+1, w+1) of the window are kept, and which are junctions.
    """
    north, south = mask[:-1], mask[1:]
    corners = (north[:, :-1], north[:, 1:], south[:, 1:], south[:, :-1])
    changes = [corners[i] != corners[(i + 1) % 4] for i in range(4)]
    degree = np.sum(changes, axis=0, dtype=np.uint8)
    # Changes on two opposite sides form a straight line through the corner.
    straight = (changes[0] == changes[2]) & (changes[1] == changes[3])
    is_junction: Bools = np.asarray(degree >= JUNCTION_DEGREE)
    return is_junction | ((degree > 0) & ~straight), is_junction


def trace(mask: Bytes, core: Window, width: int, drawn: Bools) -> Paths:
    """Trace the outlines of the regions in a tile.

    Args:
        mask: class ids (h+2, w+2) of the core and one pixel around it.
        core: the tile's core.
        width: number of columns of the raster.
        drawn: whether each class id (256,) gets outlines.
    """
    edges, follow, keys = _edges(mask, core, drawn)
    ends, order, is_closed = _walk(follow)
    rows, cols, sides = (part[order] for part in edges)
    vertices = np.stack([rows, cols], axis=1) + STARTS[sides]
    kept, is_junction = (flags[vertices[:, 0], vertices[:, 1]] for flags in outline_vertices(mask))
    begins = np.concatenate([[0], ends])[:-1].astype(np.int64)
    lasts = order[ends - 1]
    corner = np.array([core.row, core.col])
    return Paths(
        pixels=np.stack([rows, cols], axis=1)[begins],
        firsts=_key(rows[begins] + core.row, cols[begins] + core.col, sides[begins], width),
        nexts=np.where(
            is_closed, CLOSED, _key(keys[0][lasts], keys[1][lasts], keys[2][lasts], width)
        ),
        ends=np.concatenate([[0], np.cumsum(kept)])[ends],
        vertices=vertices[kept] + corner,
        junctions=is_junction[kept],
    )


def _key(rows: Ints, cols: Ints, sides: Ints, width: int) -> Ints:
    return 4 * (rows * width + cols) + sides


def _edges(
    mask: Bytes, core: Window, drawn: Bools
) -> tuple[tuple[Ints, Ints, Ints], Ints, tuple[Ints, Ints, Ints]]:
    """Find all edges (row, column, side) and the edge that follows each one.

    Returns:
        The edges in the tile, the index of the edge that follows each of them (-1 where it lies in
        another tile), and that edge in the raster.
    """
    inner, (height, width) = mask[1:-1, 1:-1], core.shape
    found, follow = [], []
    for side, (down, right) in enumerate(SIDES):
        neighbours = mask[1 + down : height + 1 + down, 1 + right : width + 1 + right]
        rows, cols = np.nonzero(drawn[inner] & (inner != neighbours))
        found.append((rows, cols, np.full(len(rows), side)))
        follow.append(_following(mask, rows, cols, side))
    edges, after = _columns(found), _columns(follow)
    numbers = (edges[2] * height + edges[0]) * width + edges[1]
    wanted = (after[2] * height + after[0]) * width + after[1]
    is_here = (after[0] >= 0) & (after[0] < height) & (after[1] >= 0) & (after[1] < width)
    index = np.where(is_here, np.searchsorted(numbers, wanted), -1)
    return edges, index, (after[0] + core.row, after[1] + core.col, after[2])


def _following(mask: Bytes, rows: Ints, cols: Ints, side: int) -> tuple[Ints, Ints, Ints]:
    """Return the edge (row, column, side) that follows each edge of one side."""
    own, left = mask[rows + 1, cols + 1], (side + 1) % 4
    ahead = rows + SIDES[left][0], cols + SIDES[left][1]
    right = ahead[0] + SIDES[side][0], ahead[1] + SIDES[side][1]
    goes_on = mask[ahead[0] + 1, ahead[1] + 1] == own
    turns = goes_on & (mask[right[0] + 1, right[1] + 1] == own)
    to_row = np.where(turns, right[0], np.where(goes_on, ahead[0], rows))
    to_col = np.where(turns, right[1], np.where(goes_on, ahead[1], cols))
    to_side = np.where(turns, (side + 3) % 4, np.where(goes_on, side, left))
    return to_row, to_col, to_side


def _columns(parts: list[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    rows, cols, sides = (np.concatenate(each) for each in zip(*parts, strict=True))
    return rows, cols, sides


def _walk(follow: Ints) -> tuple[Ints, Ints, Bools]:
    """Return the end of each path, the edges path by path, and which paths are closed."""
    after = follow.tolist()
    is_first = np.ones(len(after), np.bool_)
    is_first[follow[follow >= 0]] = False
    order: list[int] = []
    ends: list[int] = []
    seen = bytearray(len(after))
    chains = np.flatnonzero(is_first).tolist()
    for start in (*chains, *range(len(after))):
        edge = start
        while edge >= 0 and not seen[edge]:
            seen[edge] = 1
            order.append(edge)
            edge = after[edge]
        if order and (not ends or len(order) > ends[-1]):
            ends.append(len(order))
    is_closed = np.arange(len(ends)) >= len(chains)
    return np.array(ends, np.int64), np.array(order, np.int64), is_closed
