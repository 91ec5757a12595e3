"""The lattice: fixed to the raster, whatever tile asks; blending weights sum to one."""

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
def lattices(draw: st.DrawFn) -> PatchGrid:
    align = draw(st.sampled_from([1, 4, 8]))
    step, margin = draw(st.integers(1, 5)) * align, draw(st.integers(0, 4)) * align
    height, width = draw(st.integers(1, 6 * step)), draw(st.integers(1, 6 * step))
    return PatchGrid(height, width, step, margin, draw(STITCHES), align)


def stitched(lattice: PatchGrid, core: Window, image: np.ndarray) -> np.ndarray:
    total = np.zeros(core.shape, np.float64)
    weights = np.zeros(core.shape, np.float64)
    for patch in lattice.touching(core):
        kept = lattice.kept(patch)
        part = kept.intersect(core)
        weight = lattice.weight(patch)[part.within(kept)]
        total[part.within(core)] += weight * image[part.slices]
        weights[part.within(core)] += weight
    return total / weights


@given(lattices(), CORES)
def test_the_identity_gives_the_image_back_tile_by_tile(lattice: PatchGrid, core_px: int) -> None:
    image = np.random.default_rng(0).random((lattice.height, lattice.width))
    for tile in Grid(lattice.height, lattice.width, core_px).tiles():
        core = Grid(lattice.height, lattice.width, core_px).core(tile)
        np.testing.assert_allclose(stitched(lattice, core, image), image[core.slices], rtol=1e-6)


@given(lattices(), CORES)
def test_a_patch_does_not_depend_on_the_tile(lattice: PatchGrid, core_px: int) -> None:
    grid = Grid(lattice.height, lattice.width, core_px)
    whole = set(lattice.touching(grid.raster))
    for tile in grid.tiles():
        touching = set(lattice.touching(grid.core(tile)))
        assert touching <= whole
        missed = [p for p in whole - touching if lattice.kept(p).overlaps(grid.core(tile))]
        assert missed == []


@given(lattices())
def test_patches_start_on_the_network_lattice_and_stay_inside(lattice: PatchGrid) -> None:
    for patch in lattice.touching(lattice.cells.raster):
        assert patch.window.row % lattice.align_px == patch.window.col % lattice.align_px == 0
        assert patch.window.intersect(lattice.cells.raster) == patch.window
        assert patch.cell.intersect(patch.window) == patch.cell


@given(lattices())
def test_whole_cells_have_patches_of_one_size(lattice: PatchGrid) -> None:
    side = lattice.patch_px
    for patch in lattice.touching(lattice.cells.raster):
        if patch.cell.shape == (lattice.step_px, lattice.step_px):
            for got, length in zip(
                patch.window.shape, (lattice.height, lattice.width), strict=True
            ):
                assert min(side, length) <= got < side + lattice.align_px


def test_blend_weights_of_overlapping_patches_sum_to_one_inside() -> None:
    lattice = PatchGrid(96, 96, 16, 8, "blend", 8)
    total = np.zeros((96, 96))
    for patch in lattice.touching(Window(0, 0, 96, 96)):
        total[lattice.kept(patch).slices] += lattice.weight(patch)
    np.testing.assert_allclose(total[8:-8, 8:-8], 1, atol=1e-6)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_off_the_lattice_is_refused_with_the_two_nearest(stitch: Stitch) -> None:
    with pytest.raises(JobError, match=r"480 px.*multiple of 32.*use 480 or 512|is 500 px"):
        PatchGrid(1000, 1000, 500, 32, stitch, 32)
    with pytest.raises(JobError, match=r"overlap / 2 is 12 px.*use 0 or 32"):
        PatchGrid(1000, 1000, 512, 12, stitch, 32)
    with pytest.raises(JobError, match="leaves no step"):
        PatchGrid(1000, 1000, 0, 32, stitch, 32)
