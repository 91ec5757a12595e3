"""Areas by stratified estimation, compared with the worked example of Olofsson et al. 2014."""

import numpy as np
import pytest

from segtasks.evaluation.area_estimation import Z95, estimated_areas, standard_errors
from segtasks.evaluation.bootstrap import Draws, Replicates, class_intervals, interval
from segtasks.evaluation.metrics import mean_iou

# Table 8: rows the map, columns the reference. Deforestation, forest gain, stable forest, other.
TABLE_8 = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]).T
PIXELS = np.array([200_000.0, 150_000.0, 3_200_000.0, 6_450_000.0])
HECTARES = PIXELS * 0.09  # 30 m pixels


def test_the_example_of_the_paper() -> None:
    areas, errors = estimated_areas(TABLE_8, HECTARES), standard_errors(TABLE_8, HECTARES)
    # Section 5: 21,158 ha of deforestation, ± 6158 ha.
    assert areas[0] == pytest.approx(21_158, abs=1)
    assert Z95 * errors[0] == pytest.approx(6_158, abs=1)
    assert areas.sum() == pytest.approx(HECTARES.sum())


def test_a_stratum_by_hand() -> None:
    # Of the 40 ha mapped as b, half is labelled a: 60 x 1.0 + 40 x 0.5 = 80 ha of a.
    counts = np.array([[10, 5], [0, 5]])
    mapped = np.array([60.0, 40.0])
    np.testing.assert_allclose(estimated_areas(counts, mapped), [80, 20])
    # 40² x 0.5 x 0.5 / (10 - 1) = 44.4
    np.testing.assert_allclose(standard_errors(counts, mapped), np.sqrt([400 / 9, 400 / 9]))


def test_a_class_of_the_mask_without_labels_leaves_areas_unknown() -> None:
    counts = np.array([[10, 0], [0, 0]])
    assert np.isnan(estimated_areas(counts, np.array([60.0, 40.0]))).all()
    np.testing.assert_allclose(estimated_areas(counts, np.array([60.0, 0.0])), [60, 0])
    assert np.isnan(standard_errors(np.array([[10, 0], [0, 1]]), np.array([60.0, 40.0]))).all()


def test_where_all_is_labelled_the_estimate_is_the_labels_own_area() -> None:
    counts = np.random.default_rng(2).integers(1, 90, (4, 4))
    np.testing.assert_allclose(estimated_areas(counts, counts.sum(0) * 0.25), counts.sum(1) * 0.25)


def replicates_of(blocks: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]]) -> Replicates:
    draws, replicates = Draws(), Replicates(blocks[0].shape[0])
    for block in blocks:
        replicates.add(block, draws.next())
    return replicates


def test_the_bootstrap_is_as_wide_as_the_spread_of_its_blocks() -> None:
    """The error of a mean of n blocks is their standard deviation over sqrt(n)."""
    rng = np.random.default_rng(3)
    shares = rng.uniform(0.6, 0.9, 200)
    blocks = [np.array([[round(1000 * s), 1000 - round(1000 * s)], [0, 1]]) for s in shares]
    counts = replicates_of(blocks).counts
    accuracy = counts[:, 0, 0] / counts[:, 0].sum(-1)
    found = interval(accuracy)
    assert found is not None
    assert found[1] - found[0] == pytest.approx(2 * Z95 * shares.std() / np.sqrt(200), rel=0.1)
    assert found[0] < shares.mean() < found[1]


def test_equal_blocks_have_an_interval_of_width_zero() -> None:
    block = np.array([[8, 2], [1, 9]])
    figures = mean_iou(replicates_of([block] * 30).counts)
    np.testing.assert_allclose(figures, mean_iou(block))


def test_a_class_that_some_replicates_miss_has_no_interval() -> None:
    nothing, something = np.array([[5, 0], [0, 0]]), np.array([[5, 0], [1, 3]])
    replicates = replicates_of([nothing] * 10 + [something])
    spans = class_intervals(replicates, lambda counts: counts[..., 1] / counts.sum(-1).clip(1))
    assert spans[0] is not None
    assert interval(np.array([0.1, np.nan])) is None
