"""Metrics, compared with a slow and simple version and with scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_recall_fscore_support,
)

from segtasks.errors import SourceError
from segtasks.evaluation.metrics import Scores, confusion, mean_iou

CLASS_IDS = st.sampled_from([0, 1, 2, 255])
Ids = np.ndarray[tuple[int, int], np.dtype[np.uint8]]
MASKS = arrays.arrays(np.uint8, (5, 7), elements=CLASS_IDS)


@given(MASKS, MASKS)
def test_confusion_is_the_obvious_count(
    mask: Ids,
    labels: Ids,
) -> None:
    slow = np.zeros((3, 3), np.int64)
    for guess, truth in zip(mask.ravel(), labels.ravel(), strict=True):
        if guess != 255 and truth != 255:
            slow[truth, guess] += 1
    np.testing.assert_array_equal(confusion(mask, labels, 3), slow)


def test_scores_by_hand() -> None:
    scores = Scores(np.array([[3, 1, 0], [1, 5, 0], [0, 0, 0]]))
    np.testing.assert_allclose(scores.class_iou, [3 / 5, 5 / 7, np.nan])
    assert scores.mean_iou == pytest.approx((3 / 5 + 5 / 7) / 2)
    assert scores.pixel_accuracy == pytest.approx(0.8)
    assert scores.table(["a", "b", "c"])["iou_c"] is None


def test_nothing_counted_is_not_a_number() -> None:
    scores = Scores(np.zeros((2, 2), np.int64))
    assert math.isnan(scores.mean_iou)
    assert math.isnan(scores.pixel_accuracy)


def test_an_id_beyond_the_legend_is_refused() -> None:
    with pytest.raises(SourceError, match="class id 7 found; the legend ends at 2"):
        confusion(np.array([7], np.uint8), np.array([0], np.uint8), 3)


@given(MASKS, MASKS)
def test_figures_are_those_of_scikit_learn(mask: Ids, labels: Ids) -> None:
    known = (mask != 255) & (labels != 255)
    assume(known.any())
    counts, truth, guess = confusion(mask, labels, 3), labels[known], mask[known]
    scores, classes = Scores(counts), [0, 1, 2]
    np.testing.assert_array_equal(counts, confusion_matrix(truth, guess, labels=classes))
    precision, recall, _, support = precision_recall_fscore_support(
        truth, guess, labels=classes, zero_division=np.nan
    )
    np.testing.assert_allclose(scores.precision, precision)
    np.testing.assert_allclose(scores.recall, recall)
    np.testing.assert_array_equal(scores.support, support)
    present = sorted({*truth.tolist(), *guess.tolist()})
    iou = jaccard_score(truth, guess, labels=present, average=None)
    np.testing.assert_allclose(scores.class_iou[present], iou)
    np.testing.assert_allclose(
        scores.f1[present], f1_score(truth, guess, labels=present, average=None)
    )
    assert scores.mean_iou == pytest.approx(iou.mean())
    weighted = jaccard_score(truth, guess, labels=present, average="weighted")
    assert scores.frequency_weighted_iou == pytest.approx(weighted)
    assert scores.pixel_accuracy == pytest.approx(accuracy_score(truth, guess))


def test_mean_iou_of_many_matrices_is_that_of_each() -> None:
    counts = np.random.default_rng(1).integers(0, 4, (50, 3, 3))
    expected = [Scores(each).mean_iou for each in counts]
    np.testing.assert_allclose(mean_iou(counts), expected)
