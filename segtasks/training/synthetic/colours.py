"""Surface colours in full sun, (3, H, W) grey levels, chosen so that classes overlap."""
# ruff: noqa: PLR2004 the numbers are the picture: metres, shares and shades, each used once

from dataclasses import dataclass

import numpy as np

from segtasks.training.synthetic.cells import HIGHWAY_HALF_PX, STREET_HALF_PX, Cells
from segtasks.training.synthetic.noise import Bools, Floats, Ints, uniform
from segtasks.training.synthetic.world import (
    BLOCK_U,
    BLOCK_V,
    CELL_PX,
    HOUSES,
    WORKS,
    Streets,
    World,
)

SOIL, GRASS, LAWN, PAVED = (150, 128, 100), (104, 116, 74), (92, 108, 68), (138, 134, 128)
ASPHALT, DUST, PAINT = (112, 111, 112), (158, 140, 114), (205, 205, 200)
DEEP, SHALLOW = (34, 52, 58), (72, 88, 80)
LEAF_DARK, LEAF_LIGHT = (40, 62, 34), (96, 112, 62)
CROPS = np.array(
    [
        [90, 112, 62],  # as green as trees
        [72, 98, 52],
        [120, 128, 78],
        [174, 158, 106],  # ripe
        [146, 124, 98],  # ploughed: soil
        [128, 110, 88],
    ],
    np.float32,
)


@dataclass(frozen=True)
class Place:
    """The inputs of all colour functions: the pixels, their cells and two textures."""

    world: World
    streets: Streets
    cells: Cells
    at: Ints
    """(H, W) each pixel's place in the tables of ``cells``."""
    fine: Floats
    """(H, W) texture over 3 px, 0 … 1."""
    coarse: Floats
    """(H, W) texture over 60 px, 0 … 1."""


def between(first: tuple[int, int, int], second: tuple[int, int, int], share: Floats) -> Floats:
    """Return the colour at ``share`` (H, W; 0 … 1) of the way from first to second."""
    return np.stack([a + np.float32(b - a) * share for a, b in zip(first, second, strict=True)])


def ground_colour(place: Place) -> Floats:
    """Return soil and grass in the country, lawn and paving in town."""
    use = place.cells.use
    yard = uniform(place.world.seed, 111, place.cells.iu, place.cells.iv)
    paved = np.where(use == WORKS, 0.75, np.where(use == HOUSES, 1.6 * yard - 0.5, -1.0))
    share = np.clip(place.coarse * 1.6 - 0.3, 0, 1)
    country = between(SOIL, GRASS, share)
    lawn = np.clip(paved, 0, 1).astype(np.float32)
    table = np.stack([lawn * p + (1 - lawn) * g for p, g in zip(PAVED, LAWN, strict=True)])
    town = table[:, place.at] + 16 * (place.coarse - np.float32(0.5))
    colour: Floats = np.where((use >= HOUSES)[place.at], town, country)
    colour *= np.float32(0.82) + np.float32(0.36) * place.fine
    return colour


def field_colour(place: Place) -> Floats:
    """Return crops: one kind per parcel, in rows."""
    cells, seed = place.cells, place.world.seed
    block_u, block_v = cells.iu // BLOCK_U, cells.iv // BLOCK_V
    parts = 1 + np.floor(uniform(seed, 112, block_u, block_v) * 3).astype(np.int64)
    part = cells.iu % BLOCK_U * parts // BLOCK_U
    crop, turned, rows, depth = (uniform(seed, 113 + i, block_u, block_v, part) for i in range(4))
    per_px = (6 + np.floor(rows * 7)).astype(np.float32) / CELL_PX
    along = np.where((turned < 0.5)[place.at], place.streets.lu, place.streets.lv)
    phase = along * per_px[place.at]
    wave = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 4 - 1
    colour: Floats = CROPS[(crop * len(CROPS)).astype(np.int64)].T[:, place.at]
    ripple = wave * (np.float32(0.03) + np.float32(0.13) * depth)[place.at]
    colour *= np.float32(0.80) + 0.2 * place.coarse + 0.2 * place.fine + ripple
    return colour


@dataclass(frozen=True)
class Lane:
    """Where on its road each pixel is, pixels; the deeper road where two cross."""

    half: Floats
    depth: Floats
    way: Floats
    """Place along the road within the cell."""
    slot: Ints
    """0 … 15: road, side and quarter of the cell, for one car each."""
    crossing: Bools


def lane_of(place: Place, depth_u: Floats, depth_v: Floats) -> Lane:
    """Return each pixel's place on the road, from ``road_depth``."""
    cells, at, streets = place.cells, place.at, place.streets
    across_u = depth_u > depth_v
    way = np.where(across_u, streets.lv, streets.lu)
    side = np.where(across_u, streets.lu > cells.line_u[at], streets.lv > cells.line_v[at])
    slot = (way / 16).astype(np.int64) + 4 * side + 8 * across_u
    return Lane(
        half=np.where(across_u, cells.half_u[at], cells.half_v[at]),
        depth=np.where(across_u, depth_u, depth_v),
        way=way,
        slot=slot,
        crossing=np.minimum(depth_u, depth_v) > -2,
    )


def road_colour(place: Place, lane: Lane) -> Floats:
    """Return asphalt with markings on main roads, plain in streets, dust on tracks; and cars."""
    shade = np.float32(0.88) + np.float32(0.24) * place.fine
    plain = np.where(lane.half < STREET_HALF_PX, flat(DUST), flat(ASPHALT)) * shade
    cars = _cars(place, lane)
    return np.where(cars > 0, cars, np.where(_markings(lane), flat(PAINT), plain))


def _markings(lane: Lane) -> Bools:
    """Return dashes on the axis and lines along both sides of main roads."""
    axis = (lane.half - lane.depth < 1.2) & (lane.way - np.floor(lane.way / 16) * 16 < 8)
    sides = (lane.depth > 2) & (lane.depth < 3.3)
    marked: Bools = (lane.half == HIGHWAY_HALF_PX) & (axis | sides) & ~lane.crossing
    return marked


def _cars(place: Place, lane: Lane) -> Floats:
    """Return the grey of the car on each pixel, 0 where there is none."""
    cells, seed = place.cells, place.world.seed
    slots = np.arange(16)[None, :]
    there = uniform(seed, 117, cells.iu[:, None], cells.iv[:, None], slots) < 0.10
    grey = 40 + 190 * uniform(seed, 118, cells.iu[:, None], cells.iv[:, None], slots)
    table = np.where(there, grey, 0).astype(np.float32).ravel()
    start = lane.way - np.floor(lane.way / 16) * 16
    body = (np.abs(lane.depth - lane.half * np.float32(0.45)) < 3) & (start < 13)
    usable = body & (lane.half >= STREET_HALF_PX) & ~lane.crossing
    return np.where(usable, table[place.at * 16 + lane.slot], np.float32(0))


def flat(colour: tuple[int, int, int]) -> Floats:
    """Return one colour as (3, 1, 1)."""
    return np.array(colour, np.float32)[:, None, None]
