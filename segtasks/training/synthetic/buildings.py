"""Buildings: one rotated rectangle with a wing per cell; a factory covers 3 x 3 cells."""
# ruff: noqa: PLR2004 the numbers are the picture: metres, shares and shades, each used once

from dataclasses import dataclass

import numpy as np

from segtasks.training.synthetic.cells import Cells
from segtasks.training.synthetic.noise import Bools, Floats, Ints, Reals, uniform
from segtasks.training.synthetic.world import (
    CELL_PX,
    HOUSES,
    WORKS,
    Streets,
    World,
    highway_line,
    pixel_of,
    water_at,
)

ROOFS = np.array(
    [
        [128, 126, 122],  # grey sheet, the colour of asphalt
        [104, 104, 106],  # bitumen, likewise
        [156, 98, 78],  # tiles
        [138, 106, 84],  # old tiles, the colour of soil
        [182, 178, 168],  # concrete
        [96, 110, 92],  # green sheet
        [92, 106, 124],  # blue sheet
    ],
    np.float32,
)


@dataclass(frozen=True)
class Buildings:
    """Flat tables with the order of ``Cells``; lengths in pixels, angles as cosine and sine."""

    u: Floats
    """Centre, from the cell's origin (outside the cell for eight cells of nine of works)."""
    v: Floats
    cos: Floats
    sin: Floats
    half_a: Floats
    """Half-extent along the roof ridge; negative where the cell has no building."""
    half_b: Floats
    wing_a: Floats
    """Where along the ridge the wing stands."""
    wing_half_a: Floats
    wing_half_b: Floats
    height: Floats
    """Length of its shadow, pixels."""
    flat: Bools
    roof: Floats
    """(3, n) RGB."""


def buildings_of(world: World, cells: Cells) -> Buildings:
    """Return the building of each cell; a factory is repeated in all nine cells that it covers."""
    works = cells.use == WORKS
    size = np.where(works, 3, 1)
    home_u, home_v = cells.iu // size * size, cells.iv // size * size
    random = [uniform(world.seed, 60 + i, home_u, home_v) for i in range(12)]
    wide = np.where(works, 42 + 40 * random[0], 13 + 7 * random[0])
    deep = np.where(works, 26 + 34 * random[1], 9 + 5 * random[1])
    upright = random[2] < 0.4
    turn = (random[3] - np.float32(0.5)) * np.float32(0.12)
    cos, sin = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
    stands = _stands(world, cells, (home_u, home_v), size) & (random[4] < 0.84)
    middle = size * (CELL_PX / 2)
    return Buildings(
        u=_float(middle + (home_u - cells.iu) * CELL_PX + (random[5] - 0.5) * 6),
        v=_float(middle + (home_v - cells.iv) * CELL_PX + (random[6] - 0.5) * 6),
        cos=_float(np.where(upright, -sin, cos)),
        sin=_float(np.where(upright, cos, sin)),
        half_a=_float(np.where(stands, wide, -1)),
        half_b=_float(deep),
        wing_a=_float((random[7] - 0.5) * wide),
        wing_half_a=_float(np.where(random[8] < 0.5, 0.35, 0.0) * wide * stands),
        wing_half_b=_float(deep * 1.4),
        height=_float(np.where(works, 12 + 10 * random[9], 6 + 7 * random[9])),
        flat=works | (random[10] < 0.25),
        roof=ROOFS[(random[11] * len(ROOFS)).astype(np.int64)].T * (0.8 + 0.4 * random[0]),
    )


def _float(values: Reals | Ints) -> Floats:
    return np.asarray(values, np.float32)


def _stands(world: World, cells: Cells, home: tuple[Ints, Ints], size: Ints) -> Bools:
    """Return whether the place is town, off the main roads and dry at middle and corners."""
    home_u, home_v = home
    middle_u, middle_v = home_u + size // 2, home_v + size // 2
    free = ~(highway_line(world, 41, middle_u) | highway_line(world, 42, middle_v))
    for share_u, share_v in ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1)):
        u, v = home_u + share_u * size, home_v + share_v * size
        free &= water_at(world, *pixel_of(world, u * CELL_PX, v * CELL_PX)) < 0
    stands: Bools = free & (cells.use >= HOUSES)
    return stands


@dataclass(frozen=True)
class Roofs:
    """The buildings as seen from above, per pixel."""

    inside: Bools
    height: Floats
    tilt: Floats
    """-1 … 1: the slope falls one way or the other across the ridge; 0 on flat roofs."""
    edge: Floats
    """Distance to the eaves, pixels."""
    colour: Floats
    """(3, H, W)."""


def roofs_of(table: Buildings, at: Ints, streets: Streets) -> Roofs:
    """Return roofs per pixel from the building of each pixel's cell."""
    du, dv = streets.lu - table.u[at], streets.lv - table.v[at]
    cos, sin = table.cos[at], table.sin[at]
    a, b = du * cos + dv * sin, dv * cos - du * sin
    main = np.maximum(np.abs(a) - table.half_a[at], np.abs(b) - table.half_b[at])
    wing_a = np.abs(a - table.wing_a[at]) - table.wing_half_a[at]
    wing = np.maximum(wing_a, np.abs(b) - table.wing_half_b[at])
    depth = -np.minimum(main, wing)
    side = np.where(main < 0, b, a - table.wing_a[at])
    tilt = np.where(table.flat[at], 0, np.sign(side))
    return Roofs(depth > 0, table.height[at], tilt.astype(np.float32), depth, table.roof[:, at])
