"""Trees: round crowns with ragged edges on two lattices of cells, dense in woods and hedges."""
# ruff: noqa: PLR2004 the numbers are the picture: metres, shares and shades, each used once

from dataclasses import dataclass

import numpy as np

from segtasks.training.synthetic.cells import Cells, cells_of, road_depth
from segtasks.training.synthetic.noise import Bools, Floats, Ints, uniform
from segtasks.training.synthetic.world import (
    FIELD,
    HOUSES,
    WILD,
    Streets,
    World,
    streets_of_points,
    water_at,
)

LATTICES = ((71, 40, 0), (81, 30, 17))
"""(salt, cell, shift), pixels: a crown stays in its cell, so a pixel looks at one per lattice."""


@dataclass(frozen=True)
class Crowns:
    """The tallest crown over each pixel."""

    inside: Bools
    height: Floats
    """Length of the shadow the crown casts from here, pixels."""
    lit: Floats
    """-1 (away from the sun) … 1 (towards it)."""
    tone: Floats
    """0 … 1, one number per tree."""


def crowns_of(world: World, rows: Ints, cols: Ints) -> Crowns:
    """Return the crowns over the grid ``rows x cols``."""
    ragged = world.grid(91, rows, cols, 5) * 5 - 2
    first, second = (_layer(world, rows, cols, lattice, ragged) for lattice in LATTICES)
    over = second.inside & (~first.inside | (second.height > first.height))
    return Crowns(
        first.inside | second.inside,
        np.where(over, second.height, first.height),
        np.where(over, second.lit, first.lit),
        np.where(over, second.tone, first.tone),
    )


def _layer(
    world: World, rows: Ints, cols: Ints, lattice: tuple[int, int, int], ragged: Floats
) -> Crowns:
    _, cell, shift = lattice
    i, j = (rows + shift) // cell, (cols + shift) // cell
    table = _trees(world, np.arange(i[0], i[-1] + 1), np.arange(j[0], j[-1] + 1), lattice)
    at = (i - i[0])[:, None] * (j[-1] - j[0] + 1) + (j - j[0])[None, :]
    local_row, local_col = (rows + shift) - i * cell, (cols + shift) - j * cell
    down = local_row.astype(np.float32)[:, None] - table.row[at]
    right = local_col.astype(np.float32)[None, :] - table.col[at]
    radius = table.radius[at]
    square = down * down + right * right
    inside = np.sqrt(square) + ragged < radius
    dome = 1 - square / np.maximum(radius * radius, 1)
    lit = (down * world.sun[0] + right * world.sun[1]) / np.maximum(radius, 1)
    height = np.maximum(dome, 0.2) * table.height[at]
    return Crowns(inside, height, lit.astype(np.float32), table.tone[at])


@dataclass(frozen=True)
class _Trees:
    """Flat tables over the cells of one lattice; pixels from the cell's origin."""

    row: Floats
    col: Floats
    radius: Floats
    """Negative where no tree stands."""
    height: Floats
    tone: Floats


def _trees(world: World, i: Ints, j: Ints, lattice: tuple[int, int, int]) -> _Trees:
    salt, cell, shift = lattice
    i, j = (a.ravel() for a in np.meshgrid(i, j, indexing="ij"))
    random = [uniform(world.seed, salt + k, i, j) for k in range(6)]
    radius = np.float32(cell) * (np.float32(0.24) + np.float32(0.22) * random[0])
    slack = cell - 2 * radius
    row, col = radius + slack * random[1], radius + slack * random[2]
    rows = i * cell - shift + np.floor(row).astype(np.int64)
    cols = j * cell - shift + np.floor(col).astype(np.int64)
    grows = random[3] < _density(world, rows, cols)
    height = radius * (np.float32(0.7) + random[4] * np.float32(0.6))
    return _Trees(row, col, np.where(grows, radius, -9).astype(np.float32), height, random[5])


def _density(world: World, rows: Ints, cols: Ints) -> Floats:
    """Return the share of cells with a tree, where a trunk would stand at these pixels."""
    streets = streets_of_points(world, rows, cols)
    cells, at = cells_of(world, streets)
    woods = world.points(92, rows, cols, 420) + 0.3 * world.points(93, rows, cols, 90)
    use = cells.use[at]
    wild = np.where(woods > 0.74, 0.95, np.where(woods > 0.5, 0.12, 0.03))
    hedge = np.where(_hedge(cells, at, streets), 0.30, 0.0)
    density = np.where(use == WILD, wild, np.where(use == FIELD, hedge, 0.22))
    road = np.maximum(*road_depth(cells, at, streets))
    avenue = (use >= HOUSES) & (road > -9)
    density = np.where(avenue, 0.35, density)
    free = (road < -4) & (water_at(world, rows, cols) < -0.004)
    return np.where(free, density, 0).astype(np.float32)


def _hedge(cells: Cells, at: Ints, streets: Streets) -> Bools:
    """Return whether a place is within 7 px of a block's long border, roads or not."""
    third = cells.iv[at] % 3
    near: Bools = ((third == 0) & (streets.lv < 11)) | ((third == 2) & (streets.lv > 53))
    return near
