"""The content of street cells: a table of the cells that a window touches, looked up per pixel."""
# ruff: noqa: PLR2004 the numbers are the picture: metres, shares and shades, each used once

from dataclasses import dataclass

import numpy as np

from segtasks.training.synthetic.noise import Floats, Ints, uniform
from segtasks.training.synthetic.world import (
    BLOCK_U,
    BLOCK_V,
    CELL_PX,
    FIELD,
    HOUSES,
    Streets,
    World,
    highway_line,
    land_use,
)

HIGHWAY_HALF_PX, STREET_HALF_PX, TRACK_HALF_PX = 16.0, 9.0, 5.5
NO_LINE = -99.0


@dataclass(frozen=True)
class Cells:
    """Flat tables over (iv, iu): a cell has at most one road line across u and one across v."""

    iu: Ints
    iv: Ints
    use: Ints
    line_u: Floats
    """Place of the road's axis in the cell, pixels along u."""
    half_u: Floats
    """Half-width of that road, pixels; -1 on a block border without one, NO_LINE inside a block."""
    line_v: Floats
    half_v: Floats


def cells_of(world: World, streets: Streets) -> tuple[Cells, Ints]:
    """Return the cells that these pixels touch, and the index of each pixel's cell in the table."""
    u0, u1 = int(streets.iu.min()), int(streets.iu.max()) + 1
    v0, v1 = int(streets.iv.min()), int(streets.iv.max()) + 1
    iv, iu = (a.ravel() for a in np.mgrid[v0:v1, u0:u1].astype(np.int64))
    block_u, block_v = iu // BLOCK_U, iv // BLOCK_V
    line_u, half_u = _roads(world, 41, (iu, BLOCK_U), (block_u, block_v, 0))
    line_v, half_v = _roads(world, 42, (iv, BLOCK_V), (block_u, block_v, 1))
    at = (streets.iv - v0) * (u1 - u0) + (streets.iu - u0)
    return Cells(iu, iv, land_use(world, block_u, block_v), line_u, half_u, line_v, half_v), at


def _roads(
    world: World, salt: int, along: tuple[Ints, int], block: tuple[Ints, Ints, int]
) -> tuple[Floats, Floats]:
    """Return the road axis in each cell along one axis, and its half-width (pixels).

    Args:
        world: the world.
        salt: the axis's own random numbers.
        along: cell index along the axis, and the cells a block has along it.
        block: block indices (block_u, block_v), and which of the two the axis moves.
    """
    index, length = along
    place = index % length
    line = np.where(place == 0, 0.0, np.where(place == length - 1, CELL_PX, CELL_PX / 2))
    border = _border(world, salt, block, place == length - 1)
    inner = np.where(highway_line(world, salt, index), HIGHWAY_HALF_PX, NO_LINE)
    at_border = (place == 0) | (place == length - 1)
    return line.astype(np.float32), np.where(at_border, border, inner).astype(np.float32)


def _border(world: World, salt: int, block: tuple[Ints, Ints, int], far: Ints) -> Floats:
    """Return the half-width of the road on the block's near or far border.

    It depends on the pair of blocks at the border alone, so both blocks get the same result.
    """
    block_u, block_v, axis = block
    after = (block_u + far, block_v) if axis == 0 else (block_u, block_v + far)
    before = (after[0] - 1, after[1]) if axis == 0 else (after[0], after[1] - 1)
    use = np.maximum(land_use(world, *before), land_use(world, *after))
    track = (use == FIELD) & (uniform(world.seed, salt + 10, *after) < 0.3)
    width = np.where(use >= HOUSES, STREET_HALF_PX, np.where(track, TRACK_HALF_PX, -1.0))
    return width.astype(np.float32)


def road_depth(cells: Cells, at: Ints, streets: Streets) -> tuple[Floats, Floats]:
    """Return how deep each pixel lies in the road across u and in the one across v (> 0: on it)."""
    depth_u = cells.half_u[at] - np.abs(streets.lu - cells.line_u[at])
    depth_v = cells.half_v[at] - np.abs(streets.lv - cells.line_v[at])
    return depth_u, depth_v
