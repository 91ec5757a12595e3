"""Polygons by tiles equal those of the whole mask, as rasterio.features.shapes returns them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import shapes

from segtasks.pipeline.stages.vectorise import _pieces
from segtasks.raster.grid import Grid
from segtasks.raster.labels import NODATA
from segtasks.raster.regions.connected_components import Bytes, components
from segtasks.raster.regions.outlines import outline_vertices, trace
from segtasks.raster.regions.simplify import drop_collinear, simple_rings, simplify_ring
from segtasks.raster.regions.stitch import PartialRegion, Stitcher, split_regions
from segtasks.training.synthetic import scene_window
from tests.helpers.mosaics import blobs, masks
from tests.helpers.paths import SHARED

Drawn = list[tuple[int, shapely.Polygon]]


def pieces(mask: Bytes, tile_px: int) -> Iterator[PartialRegion]:
    """Yield the regions of a mask, traced by tiles and stitched."""
    (height, width), stitcher = mask.shape, Stitcher()
    grid = Grid(height, width, tile_px)
    wide, drawn = np.pad(mask, 1, constant_values=NODATA), np.arange(256) < NODATA
    for tile in grid.tiles():
        core = grid.core(tile)
        own = wide[core.row : core.row_stop + 2, core.col : core.col_stop + 2]
        found = components(mask[core.slices], core, grid.width)
        paths = trace(own, core, grid.width, drawn)
        amounts, at_border = found.sizes[:, None].astype(float), found.touches_border()
        yield from split_regions(_pieces(found, paths, amounts, np.flatnonzero(~at_border)))
        stitcher.add(tile.col, _pieces(found, paths, amounts, np.flatnonzero(at_border)))
        if tile.col == grid.shape[1] - 1:
            yield from stitcher.finished(last=tile.row == grid.shape[0] - 1)


def drawn(mask: Bytes, tile_px: int, square_px: float = 0.0) -> Drawn:
    """(class id, polygon) with x = column and y = row, sorted by content."""
    turning = outline_vertices(np.pad(mask, 1, constant_values=NODATA))[0]
    found = []
    for piece in pieces(mask, tile_px):
        whole = [r for ring in piece.rings() for r in simple_rings(ring, piece.junctions)]
        rings = [
            simplify_ring(
                ring, piece.junctions, square_px, lambda row, col: bool(turning[row, col])
            )
            if square_px
            else drop_collinear(ring)
            for ring in whole
        ]
        filled = [shapely.Polygon([(col, row) for row, col in ring]) for ring in rings]
        shell = max(range(len(filled)), key=lambda i: filled[i].area)
        holes = [each.exterior.coords for i, each in enumerate(filled) if i != shell]
        found.append((piece.class_id, shapely.Polygon(filled[shell].exterior.coords, holes)))
    return sorted(found, key=lambda pair: (pair[0], shapely.normalize(pair[1]).wkb))


def in_one_piece(mask: Bytes) -> Drawn:
    return [
        (int(value), shapely.geometry.shape(geometry))
        for geometry, value in shapes(mask, mask=mask != NODATA, connectivity=4)
    ]


def sizes(found: Drawn) -> Counter[tuple[int, float]]:
    return Counter((class_id, shape.area) for class_id, shape in found)


def outlines(found: Drawn) -> Counter[Any]:
    return Counter((class_id, shapely.normalize(shape).wkb) for class_id, shape in found)


@given(masks(), st.integers(1, 21))
def test_any_mask_in_any_tiles(mask: Bytes, tile_px: int) -> None:
    found, expected = drawn(mask, tile_px), in_one_piece(mask)
    assert sizes(found) == sizes(expected)
    assert all(shape.is_valid for _, shape in found)
    # Where a region touches itself at a corner, GDAL's ring does so too; the pixels are the same.
    valid = [pair for pair in expected if pair[1].is_valid]
    assert not outlines(valid) - outlines(found)


@pytest.mark.parametrize("tile_px", [37, 64, 512])
def test_a_noisy_mask(tile_px: int) -> None:
    mask = blobs(200, 180, seed=2)
    found = drawn(mask, tile_px)
    assert sizes(found) == sizes(in_one_piece(mask))
    assert sum(shape.area for _, shape in found) == np.count_nonzero(mask != NODATA)
    assert outlines(found) == outlines(drawn(mask, 1000))


def test_a_scene_in_tiles_of_512() -> None:
    labels = scene_window(3, 0, 0, 1024, 1024)[1]
    assert_as_one(labels)


@pytest.mark.shared
def test_labels_of_a_real_scene_in_tiles_of_512() -> None:
    path = SHARED / "data/dubai/scenes/tile_7_label.tif"
    if not path.exists():
        pytest.skip(f"shared imagery not found: {path} (set SEGTASKS_SHARED)")
    with rasterio.open(path) as dataset:
        assert_as_one(dataset.read(1, window=((1000, 2200), (900, 2300))))


def assert_as_one(mask: Bytes) -> None:
    """Tiles of 512 px and the whole mask have as many regions per class, with the same areas."""
    expected, found = in_one_piece(mask), drawn(mask, 512)
    assert len(expected) > 50
    assert sizes(found) == sizes(expected)
    assert outlines(found) == outlines(drawn(mask, 4096))


@settings(max_examples=60)
@given(masks(), st.sampled_from([0.5, 1.0, 3.0, 50.0]), st.integers(1, 21))
def test_simplified_regions_fit_together_in_any_tiles(
    mask: Bytes, square_px: float, tile_px: int
) -> None:
    found = drawn(mask, tile_px, square_px)
    assert outlines(found) == outlines(drawn(mask, 100, square_px))
    assert len(found) == len(in_one_piece(mask))
    shown = [shape for _, shape in found]
    assert all(shape.is_valid and shape.area > 0 for shape in shown)
    assert shapely.coverage_is_valid(np.array(shown)) if shown else True


@pytest.mark.parametrize("square_px", [1.0, 9.0, 100.0])
def test_simplified_noise(square_px: float) -> None:
    mask = blobs(150, 170, seed=4, grain=5)
    found, exact = drawn(mask, 64, square_px), drawn(mask, 64)
    shown = np.array([shape for _, shape in found])
    assert outlines(found) == outlines(drawn(mask, 97, square_px))
    assert shapely.is_valid(shown).all()
    assert shapely.coverage_is_valid(shown)
    before = sum(shapely.get_num_coordinates(shape) for _, shape in exact)
    assert shapely.get_num_coordinates(shown).sum() < 0.7 * before


def test_an_inner_border_is_shared_and_stairs_become_lines() -> None:
    rows, cols = np.mgrid[:60, :60]
    mask = (rows > cols).astype(np.uint8)
    found = drawn(mask, 16, 1.0)
    # Corners of the raster, both ends of the border, and the one vertex that every arc keeps.
    assert [len(shape.exterior.coords) - 1 for _, shape in found] == [6, 4]
    shared = found[0][1].intersection(found[1][1])
    assert shared.area == 0
    assert shared.length == pytest.approx(60 * 2**0.5, rel=0.02)


def test_a_hole_across_four_tiles_and_regions_that_touch_at_corners() -> None:
    mask = np.zeros((12, 12), np.uint8)
    mask[4:8, 4:8] = 1
    mask[5:7, 5:7] = NODATA
    mask[0, 0] = mask[1, 1] = 2
    found = drawn(mask, 6)
    assert [(i, shape.area, len(shape.interiors)) for i, shape in found] == [
        (0, 126.0, 2),
        (1, 12.0, 1),
        (2, 1.0, 0),
        (2, 1.0, 0),
    ]


def test_only_regions_that_continue_are_held() -> None:
    mask = blobs(400, 100, seed=8, grain=2)
    grid, stitcher = Grid(400, 100, 50), Stitcher()
    wide, shown = np.pad(mask, 1, constant_values=NODATA), np.arange(256) < NODATA
    done = 0
    for tile in grid.tiles():
        core = grid.core(tile)
        own = wide[core.row : core.row_stop + 2, core.col : core.col_stop + 2]
        found = components(mask[core.slices], core, 100)
        paths = trace(own, core, 100, shown)
        rim = np.flatnonzero(found.touches_border())
        stitcher.add(tile.col, _pieces(found, paths, found.sizes[:, None].astype(float), rim))
        if tile.col:
            done += len(list(stitcher.finished(last=tile.row == 7)))
            held = len(stitcher._regions)  # noqa: SLF001 - what is measured
            assert held <= 100 if tile.row < 7 else held == 0
    assert done > 500
