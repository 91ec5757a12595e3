"""The map of an unlimited world: the places of towns, fields, water and roads.

Streets, buildings and fields are straight in street coordinates (u, v). These are pixel coordinates
rotated by the world's angle and distorted by smooth noise, so that streets are curved in the image.

    |<---------------- block: 6 x 3 cells, one land use ---------------->|
    +----------+----------+----------+----------+----------+----------+  street along v = const
    |   cell   |          |          |          |          |          |
    |  one     +----------+----------+----------+----------+----------+
    |  house   |          |          |          |          |          |
"""
# ruff: noqa: PLR2004 the numbers are the picture: metres, shares and shades, each used once

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segtasks.training.synthetic.noise import (
    Bools,
    Floats,
    Ints,
    Reals,
    grid_noise,
    point_noise,
    uniform,
)

CELL_PX = 64
BLOCK_U, BLOCK_V = 6, 3
"""Cells in a block, along u and v."""
HIGHWAY_EVERY = 24
"""Cells between main roads; one runs through the middle of a cell column (row)."""
BEND_PX = 110.0

WILD, FIELD, HOUSES, WORKS = 0, 1, 2, 3
"""Land uses of a block; WORKS is large flat-roofed buildings on paved ground."""


@dataclass(frozen=True)
class World:
    """A seed and the properties of the world that follow from it."""

    seed: int

    @cached_property
    def angle(self) -> float:
        """Direction of the streets, radians."""
        return float(uniform(self.seed, 1, np.array([0]))[0]) * math.pi / 2

    @cached_property
    def sun(self) -> tuple[float, float]:
        """Unit step (row, col) from a shadow towards the sun."""
        turn = float(uniform(self.seed, 2, np.array([0]))[0]) * 2 * math.pi
        return math.sin(turn), math.cos(turn)

    def grid(self, salt: int, rows: Ints, cols: Ints, cell_px: int) -> Floats:
        """Return noise (H, W) in [0, 1)."""
        return grid_noise(self.seed, salt, rows, cols, cell_px)

    def points(self, salt: int, rows: Ints, cols: Ints, cell_px: int) -> Floats:
        """Return noise in [0, 1) at scattered points."""
        return point_noise(self.seed, salt, rows, cols, cell_px)


@dataclass(frozen=True)
class Streets:
    """Street coordinates of some pixels (arrays of one shape): cell indices and place in cell."""

    iu: Ints
    iv: Ints
    lu: Floats
    """Place in the cell, pixels in [0, CELL_PX)."""
    lv: Floats


def streets_of_grid(world: World, rows: Ints, cols: Ints) -> Streets:
    """Return street coordinates of the grid ``rows x cols``, (H, W)."""
    bends = [world.grid(salt, rows, cols, 700) for salt in (11, 12)]
    return _streets(world, rows[:, None], cols[None, :], bends)


def streets_of_points(world: World, rows: Ints, cols: Ints) -> Streets:
    """Return street coordinates of scattered pixels."""
    bends = [world.points(salt, rows, cols, 700) for salt in (11, 12)]
    return _streets(world, rows, cols, bends)


def _streets(world: World, rows: Ints, cols: Ints, bends: list[Floats]) -> Streets:
    sin, cos = math.sin(world.angle), math.cos(world.angle)
    u = (cols * cos) + (rows * sin) + bends[0] * BEND_PX
    v = (rows * cos) - (cols * sin) + bends[1] * BEND_PX
    iu, iv = np.floor(u / CELL_PX), np.floor(v / CELL_PX)
    lu, lv = (u - iu * CELL_PX).astype(np.float32), (v - iv * CELL_PX).astype(np.float32)
    return Streets(iu.astype(np.int64), iv.astype(np.int64), lu, lv)


def pixel_of(world: World, u: Reals | Ints, v: Reals | Ints) -> tuple[Ints, Ints]:
    """Return the pixels (rows, cols) at street coordinates, by three fixed-point iterations."""
    sin, cos = math.sin(world.angle), math.cos(world.angle)
    straight_u, straight_v = u + 0.0, v + 0.0
    for _ in range(3):
        rows = np.floor(straight_u * sin + straight_v * cos).astype(np.int64)
        cols = np.floor(straight_u * cos - straight_v * sin).astype(np.int64)
        straight_u = u - world.points(11, rows, cols, 700) * BEND_PX
        straight_v = v - world.points(12, rows, cols, 700) * BEND_PX
    return rows, cols


def water_level(large: Floats, middle: Floats, small: Floats, river: Floats) -> Floats:
    """Return how far inside water a place is (> 0: water), from four noises in [0, 1)."""
    wiggle = 0.22 * (middle - 0.5) + 0.03 * (small - 0.5)
    lake = large + wiggle - 0.80
    stream = 0.016 - np.abs(river + 0.2 * wiggle - 0.5)
    level: Floats = np.maximum(lake, stream)
    return level


WATER_NOISES = ((21, 800), (22, 190), (23, 41), (24, 1900))
"""(salt, cell_px) of the noises ``water_level`` takes."""


def water_at(world: World, rows: Ints, cols: Ints) -> Floats:
    """Return ``water_level`` at scattered pixels."""
    return water_level(*(world.points(salt, rows, cols, cell) for salt, cell in WATER_NOISES))


def land_use(world: World, block_u: Ints, block_v: Ints) -> Ints:
    """Return the land use of blocks (block_u, block_v): one of WILD … WORKS."""
    centre_u, centre_v = (block_u + 0.5) * BLOCK_U * CELL_PX, (block_v + 0.5) * BLOCK_V * CELL_PX
    rows, cols = pixel_of(world, centre_u, centre_v)
    urban = world.points(31, rows, cols, 1100) + 0.25 * uniform(world.seed, 32, block_u, block_v)
    works = uniform(world.seed, 33, block_u, block_v) < 0.28
    farm = (
        world.points(34, rows, cols, 600) + 0.3 * uniform(world.seed, 35, block_u, block_v) > 0.42
    )
    town = np.where(works, WORKS, HOUSES)
    return np.where(urban > 0.60, town, np.where(farm, FIELD, WILD))


def highway_line(world: World, salt: int, index: Ints) -> Bools:
    """Return whether the cell column (row) ``index`` carries a main road: one per stretch."""
    stretch = index // HIGHWAY_EVERY
    place = 1 + 3 * np.floor(uniform(world.seed, salt, stretch) * (HIGHWAY_EVERY // 3))
    carries: Bools = index - stretch * HIGHWAY_EVERY == place
    return carries
