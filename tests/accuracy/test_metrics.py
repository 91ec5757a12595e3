"""Scores, against a slow obvious version."""

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from segtasks.training.metrics import Scores, confusion

from segtasks.errors import SourceError
from segtasks.training.evaluate import evaluate_rasters

CLASS_IDS = st.sampled_from([0, 1, 2, 255])
MASKS = arrays.arrays(np.uint8, (5, 7), elements=CLASS_IDS)


@given(MASKS, MASKS)
def test_confusion_is_the_obvious_count(
    mask: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
    labels: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
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


def _write(path: Path, classes: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> str:
    height, width = classes.shape
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": height, "width": width}
    with rasterio.open(path, "w", nodata=255, **profile) as dataset:
        dataset.write(classes, 1)
        dataset.write_colormap(1, {0: (255, 0, 0), 1: (0, 255, 0), 2: (0, 0, 255)})
    return str(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("window_px", [16, 33, 4096])
def test_rasters_are_scored_the_same_by_any_window(tmp_path: Path, window_px: int) -> None:
    rng = np.random.default_rng(0)
    mask, labels = (rng.choice([0, 1, 2, 255], (50, 70)).astype(np.uint8) for _ in range(2))
    urls = _write(tmp_path / "mask.tif", mask), _write(tmp_path / "labels.tif", labels)
    scores = evaluate_rasters(*urls, classes=3, window_px=window_px)
    np.testing.assert_array_equal(scores.counts, confusion(mask, labels, 3))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    mask = _write(tmp_path / "mask.tif", np.zeros((4, 5), np.uint8))
    labels = _write(tmp_path / "labels.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(SourceError, match=r"labels\.tif is 5 x 5 px, .*mask\.tif 4 x 5"):
        evaluate_rasters(mask, labels, classes=2)
