"""Invariant 1: cores cover each pixel exactly once, lie in their read window, inside the raster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks.errors import JobError
from segtasks.raster.grid import Grid, Window

GRIDS = st.builds(Grid, st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))


@given(GRIDS)
def test_cores_cover_each_pixel_exactly_once(grid: Grid) -> None:
    count = np.zeros((grid.height, grid.width), int)
    for tile in grid.tiles():
        count[grid.core(tile).slices] += 1
    assert (count == 1).all()
    assert len(list(grid.tiles())) == len(grid)


@given(GRIDS, st.integers(0, 60))
def test_a_core_lies_in_its_read_window_inside_the_raster(grid: Grid, halo_px: int) -> None:
    for tile in grid.tiles():
        core, read = grid.core(tile), grid.read_window(tile, halo_px)
        assert core.intersect(read) == core
        assert read.intersect(grid.raster) == read
        reach = (core.row - read.row, read.col_stop - core.col_stop)
        assert reach == (min(halo_px, core.row), min(halo_px, grid.width - core.col_stop))


@given(GRIDS, st.integers(-20, 90), st.integers(-20, 90), st.integers(0, 60), st.integers(0, 60))
def test_touching_finds_just_the_tiles_that_share_a_pixel(
    grid: Grid, row: int, col: int, height: int, width: int
) -> None:
    window = Window(row, col, height, width)
    slow = [tile for tile in grid.tiles() if grid.core(tile).overlaps(window)]
    assert list(grid.touching(window)) == slow


@pytest.mark.parametrize(("height", "width", "core_px"), [(0, 5, 1), (5, 0, 1), (5, 5, 0)])
def test_an_empty_grid_is_refused(height: int, width: int, core_px: int) -> None:
    with pytest.raises(JobError, match="every length must be at least 1"):
        Grid(height, width, core_px)
