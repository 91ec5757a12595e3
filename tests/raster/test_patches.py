"""The patch grid: anchored to the raster, the same for every tile; blend weights sum to one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks.errors import JobError
from segtasks.raster.grid import Grid, Window
from segtasks.raster.patches import PatchGrid, Stitch

STITCHES: st.SearchStrategy[Stitch] = st.sampled_from(("crop", "blend"))

CORES = st.sampled_from((3, 8, 17, 40))


@st.composite
def patch_grids(draw: st.DrawFn) -> PatchGrid:
    align = draw(st.sampled_from([1, 4, 8]))
    step, margin = draw(st.integers(1, 5)) * align, draw(st.integers(0, 4)) * align
    height, width = draw(st.integers(1, 6 * step)), draw(st.integers(1, 6 * step))
    return PatchGrid(height, width, step, margin, draw(STITCHES), align)


def stitched(patches: PatchGrid, core: Window, image: np.ndarray) -> np.ndarray:
    total = np.zeros(core.shape, np.float64)
    weights = np.zeros(core.shape, np.float64)
    for patch in patches.touching(core):
        kept = patches.kept(patch)
        part = kept.intersect(core)
        weight = patches.weight(patch)[part.within(kept)]
        total[part.within(core)] += weight * image[part.slices]
        weights[part.within(core)] += weight
    return total / weights


@given(patch_grids(), CORES)
def test_the_identity_gives_the_image_back_tile_by_tile(patches: PatchGrid, core_px: int) -> None:
    image = np.random.default_rng(0).random((patches.height, patches.width))
    for tile in Grid(patches.height, patches.width, core_px).tiles():
        core = Grid(patches.height, patches.width, core_px).core(tile)
        np.testing.assert_allclose(stitched(patches, core, image), image[core.slices], rtol=1e-6)


@given(patch_grids(), CORES)
def test_a_patch_does_not_depend_on_the_tile(patches: PatchGrid, core_px: int) -> None:
    grid = Grid(patches.height, patches.width, core_px)
    whole = set(patches.touching(grid.raster))
    for tile in grid.tiles():
        touching = set(patches.touching(grid.core(tile)))
        assert touching <= whole
        missed = [p for p in whole - touching if patches.kept(p).overlaps(grid.core(tile))]
        assert missed == []


@given(patch_grids())
def test_patches_start_at_multiples_of_the_stride_and_stay_inside(patches: PatchGrid) -> None:
    for patch in patches.touching(patches.cells.raster):
        assert patch.window.row % patches.align_px == patch.window.col % patches.align_px == 0
        assert patch.window.intersect(patches.cells.raster) == patch.window
        assert patch.cell.intersect(patch.window) == patch.cell


@given(patch_grids())
def test_whole_cells_have_patches_of_one_size(patches: PatchGrid) -> None:
    side = patches.patch_px
    for patch in patches.touching(patches.cells.raster):
        if patch.cell.shape == (patches.step_px, patches.step_px):
            for got, length in zip(
                patch.window.shape, (patches.height, patches.width), strict=True
            ):
                assert min(side, length) <= got < side + patches.align_px


def test_blend_weights_of_overlapping_patches_sum_to_one_inside() -> None:
    patches = PatchGrid(96, 96, 16, 8, "blend", 8)
    total = np.zeros((96, 96))
    for patch in patches.touching(Window(0, 0, 96, 96)):
        total[patches.kept(patch).slices] += patches.weight(patch)
    np.testing.assert_allclose(total[8:-8, 8:-8], 1, atol=1e-6)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_sizes_off_the_stride_are_refused_with_the_two_nearest(stitch: Stitch) -> None:
    with pytest.raises(JobError, match=r"480 px.*multiple of 32.*use 480 or 512|is 500 px"):
        PatchGrid(1000, 1000, 500, 32, stitch, 32)
    with pytest.raises(JobError, match=r"overlap / 2 is 12 px.*use 0 or 32"):
        PatchGrid(1000, 1000, 512, 12, stitch, 32)
    with pytest.raises(JobError, match="leaves no step"):
        PatchGrid(1000, 1000, 0, 32, stitch, 32)
