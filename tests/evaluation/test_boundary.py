"""Boundary F, compared with scipy's distance transform over the whole raster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import distance_transform_edt

from segtasks.evaluation.boundary import Boundary, boundary_counts, dilated, halo_px
from segtasks.raster.grid import Grid

Ids = np.ndarray[tuple[int, int], np.dtype[np.uint8]]
SHAPE = (17, 23)
MAPS = arrays.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 1, 9, 255]))
WHOLE = (slice(None), slice(None))


def slow_outline(ids: Ids, class_id: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    found = np.zeros(ids.shape, bool)
    for row, col in np.argwhere(ids == class_id):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            y, x = row + dy, col + dx
            inside = 0 <= y < ids.shape[0] and 0 <= x < ids.shape[1]
            found[row, col] |= inside and ids[y, x] not in (class_id, 255)
    return found


def slow_counts(mask: Ids, labels: Ids, classes: int, tolerance: int) -> list[list[int]]:
    rows: list[list[int]] = [[], [], [], []]
    for class_id in range(classes):
        outlines = [slow_outline(ids, class_id) for ids in (mask, labels)]
        for place, (own, other) in enumerate([outlines, outlines[::-1]]):
            away = distance_transform_edt(~other) if other.any() else np.full(SHAPE, np.inf)
            rows[2 * place].append(int(own.sum()))
            rows[2 * place + 1].append(int((own & (away <= tolerance)).sum()))
    return rows


def voided(mask: Ids, labels: Ids) -> tuple[Ids, Ids]:
    void = (mask == 255) | (labels == 255)
    return np.where(void, 255, mask).astype(np.uint8), np.where(void, 255, labels).astype(np.uint8)


@given(MAPS, MAPS, st.integers(0, 5))
def test_boundaries_are_matched_as_the_distance_transform_says(
    mask: Ids, labels: Ids, tolerance: int
) -> None:
    mask, labels = voided(mask, labels)
    counts = boundary_counts(mask, labels, WHOLE, 10, tolerance)
    np.testing.assert_array_equal(counts, slow_counts(mask, labels, 10, tolerance))


@given(MAPS, MAPS, st.integers(0, 4), st.sampled_from([3, 8, 16]))
def test_counts_of_blocks_add_up_to_those_of_the_raster(
    mask: Ids, labels: Ids, tolerance: int, block_px: int
) -> None:
    mask, labels = voided(mask, labels)
    grid, total = Grid(*SHAPE, block_px), np.zeros((4, 10), np.int64)
    for tile in grid.tiles():
        core, window = grid.core(tile), grid.read_window(tile, halo_px(tolerance))
        parts = mask[window.slices], labels[window.slices]
        total += boundary_counts(*parts, core.within(window), 10, tolerance)
    whole = boundary_counts(mask, labels, WHOLE, 10, tolerance)
    np.testing.assert_array_equal(total, whole)


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 7, 12])
def test_a_dilated_point_is_a_disk(radius: int) -> None:
    bits = np.zeros((31, 31), np.uint8)
    bits[15, 15] = 5
    rows, cols = np.mgrid[-15:16, -15:16]
    np.testing.assert_array_equal(dilated(bits, radius), 5 * (rows**2 + cols**2 <= radius**2))


def test_a_square_moved_by_two_pixels() -> None:
    mask, labels = np.zeros((2, 40, 40), np.uint8)
    mask[10:20, 12:22] = labels[10:20, 10:20] = 1
    near, far = (Boundary(boundary_counts(mask, labels, WHOLE, 2, px)) for px in (2, 1))
    np.testing.assert_allclose(near.class_f, [1, 1])
    assert near.mean_f == 1
    # Of the square's 36 rim px, 9 above and 9 below are near, and the 2 under the left corners.
    assert far.precision[1] == pytest.approx(20 / 36)
    assert far.mean_f < 1


def test_a_class_in_one_map_only_scores_nothing_and_an_absent_one_is_undefined() -> None:
    mask, labels = np.zeros((2, 9, 9), np.uint8)
    mask[4, 4] = 1
    found = Boundary(boundary_counts(mask, labels, WHOLE, 3, 3))
    np.testing.assert_array_equal(found.class_f, [0, 0, np.nan])
    assert np.isnan(Boundary(np.zeros((4, 3), np.int64)).mean_f)
