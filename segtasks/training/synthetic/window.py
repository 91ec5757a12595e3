"""Compute any window of an unlimited aerial scene, image and exact labels, from a seed."""
# ruff: noqa: PLR2004 the numbers are the picture: metres, shares and shades, each used once

from dataclasses import dataclass

import numpy as np

from segtasks.errors import JobError
from segtasks.training.synthetic.buildings import Roofs, buildings_of, roofs_of
from segtasks.training.synthetic.cells import HIGHWAY_HALF_PX, cells_of, road_depth
from segtasks.training.synthetic.colours import (
    DEEP,
    LEAF_DARK,
    LEAF_LIGHT,
    SHALLOW,
    Lane,
    Place,
    between,
    field_colour,
    ground_colour,
    lane_of,
    road_colour,
)
from segtasks.training.synthetic.light import MARGIN_PX, REACH_PX, develop, shadows
from segtasks.training.synthetic.noise import Bools, Bytes, Floats, Ints
from segtasks.training.synthetic.trees import Crowns, crowns_of
from segtasks.training.synthetic.world import (
    FIELD,
    WATER_NOISES,
    World,
    streets_of_grid,
    water_level,
)

LEGEND = (
    ("ground", "#c8b48c"),
    ("building", "#c0392b"),
    ("road", "#5d6d7e"),
    ("tree", "#1e6b2e"),
    ("water", "#2e6fb7"),
    ("field", "#d4c43a"),
)
"""Name and colour of class ids 0 … 5. Shadow is no class."""
GROUND, BUILDING, ROAD, TREE, WATER, FIELD_CLASS = range(6)
VERGE_PX = 4.0
FAR_PX = 2**30
"""Larger world coordinates are refused, so that float64 street coordinates are exact to 1e-6 px."""


@dataclass(frozen=True)
class _Layers:
    """The objects in a window and its margin; all arrays are (H, W)."""

    place: Place
    lane: Lane
    farmed: Bools
    level: Floats
    crowns: Crowns
    roofs: Roofs

    @property
    def wet(self) -> Bools:
        wet: Bools = self.level > 0
        return wet

    @property
    def paved(self) -> Bools:
        """The pixels of roads; only main roads cross water."""
        bridge = self.lane.half == HIGHWAY_HALF_PX
        paved: Bools = (self.lane.depth > 0) & (~self.wet | bridge)
        return paved

    @property
    def leafy(self) -> Bools:
        return self.crowns.inside & ~self.wet & ~self.roofs.inside


def scene_window(seed: int, row: int, col: int, height: int, width: int) -> tuple[Bytes, Bytes]:
    """Compute a window of the scene ``seed``; overlapping windows agree to the bit.

    Args:
        seed: number of the scene.
        row: world pixel row of the window's first row; may be negative.
        col: world pixel column of the window's first column; may be negative.
        height: rows, at least 1.
        width: columns, at least 1.

    Returns:
        image uint8 (3, height, width), RGB at about 0.3 m per pixel, and labels uint8
        (height, width) of class ids of ``LEGEND``.

    Raises:
        JobError: the window is empty or too far from the origin.
    """
    _check(row, col, height, width)
    rows = np.arange(row - MARGIN_PX, row + height + MARGIN_PX)
    cols = np.arange(col - MARGIN_PX, col + width + MARGIN_PX)
    world = World(seed)
    layers = _layers(world, rows, cols)
    shaded = shadows(_heights(layers), world.sun)
    inner = slice(REACH_PX, -REACH_PX)
    surface = _surface(layers)[:, inner, inner]
    image = develop(world, surface, shaded, rows[inner], cols[inner])
    bare = slice(MARGIN_PX, -MARGIN_PX)
    return image, _labels(layers)[bare, bare]


def _check(row: int, col: int, height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise JobError(f"scene window is {height} x {width} px; ask for at least 1 x 1")
    if max(abs(row) + height, abs(col) + width) > FAR_PX:
        raise JobError(f"scene window at {row}, {col} lies beyond {FAR_PX} px; stay nearer to 0")


def _layers(world: World, rows: Ints, cols: Ints) -> _Layers:
    streets = streets_of_grid(world, rows, cols)
    cells, at = cells_of(world, streets)
    place = Place(
        world,
        streets,
        cells,
        at,
        fine=world.grid(121, rows, cols, 3),
        coarse=0.6 * world.grid(122, rows, cols, 64) + 0.4 * world.grid(123, rows, cols, 15),
    )
    lane = lane_of(place, *road_depth(cells, at, streets))
    farmed = (cells.use == FIELD)[at] & (lane.depth < -VERGE_PX)
    level = water_level(*(world.grid(salt, rows, cols, size) for salt, size in WATER_NOISES))
    roofs = roofs_of(buildings_of(world, cells), at, streets)
    return _Layers(place, lane, farmed, level, crowns_of(world, rows, cols), roofs)


def _labels(layers: _Layers) -> Bytes:
    labels = np.where(layers.farmed, np.uint8(FIELD_CLASS), np.uint8(GROUND))
    labels[layers.wet] = WATER
    labels[layers.paved] = ROAD
    labels[layers.leafy] = TREE
    labels[layers.roofs.inside] = BUILDING
    return labels


def _heights(layers: _Layers) -> Floats:
    crowns = np.where(layers.leafy, layers.crowns.height, np.float32(0))
    return np.where(layers.roofs.inside, layers.roofs.height, crowns)


def _surface(layers: _Layers) -> Floats:
    """Paint the colours (3, H, W), layer by layer from the ground up."""
    place = layers.place
    surface = ground_colour(place)
    np.copyto(surface, field_colour(place), where=layers.farmed)
    np.copyto(surface, _water_colour(layers), where=layers.wet)
    np.copyto(surface, road_colour(place, layers.lane), where=layers.paved)
    np.copyto(surface, _leaf_colour(layers), where=layers.leafy)
    np.copyto(surface, _roof_colour(layers), where=layers.roofs.inside)
    return surface


def _water_colour(layers: _Layers) -> Floats:
    near_bank = np.clip(1 - layers.level * 45, 0, 1)
    ripple = np.float32(0.9) + np.float32(0.2) * layers.place.fine
    return between(DEEP, SHALLOW, near_bank * (0.3 + 0.7 * layers.place.coarse)) * ripple


def _leaf_colour(layers: _Layers) -> Floats:
    crowns = layers.crowns
    light = np.clip(0.35 + 0.35 * crowns.lit + 0.5 * (crowns.tone - 0.5), 0, 1)
    return between(LEAF_DARK, LEAF_LIGHT, light) * (0.75 + 0.5 * layers.place.fine)


def _roof_colour(layers: _Layers) -> Floats:
    roofs = layers.roofs
    slope = 1 + 0.17 * roofs.tilt - 0.12 * (roofs.edge < 1.6)
    colour: Floats = roofs.colour * (slope * (0.92 + 0.16 * layers.place.fine))
    return colour
