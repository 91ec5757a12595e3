"""The endless scene: any window is the same, wherever it is cut from."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from segtasks.errors import DestinationError, JobError
from segtasks.training.synthetic import LEGEND, label_path, scene_window, write_scene
from segtasks.training.synthetic.noise import grid_noise, point_noise

FAR = st.integers(-(10**7), 10**7)
OFFSET = st.integers(0, 70)
SIDE = st.integers(1, 80)


@settings(max_examples=25)
@given(st.integers(0, 10**6), FAR, FAR, OFFSET, OFFSET, SIDE, SIDE)
def test_overlapping_windows_agree_to_the_bit(
    seed: int, row: int, col: int, down: int, right: int, height: int, width: int
) -> None:
    image, labels = scene_window(seed, row, col, 150, 150)
    part, part_labels = scene_window(seed, row + down, col + right, height, width)
    rows, cols = slice(down, down + height), slice(right, right + width)
    np.testing.assert_array_equal(part, image[:, rows, cols])
    np.testing.assert_array_equal(part_labels, labels[rows, cols])


def test_shapes_dtypes_and_class_ids() -> None:
    image, labels = scene_window(5, -40, 17, 90, 130)
    assert image.shape == (3, 90, 130)
    assert labels.shape == (90, 130)
    assert image.dtype == labels.dtype == np.uint8
    assert labels.max() < len(LEGEND)


def test_every_class_occurs() -> None:
    _, labels = scene_window(1, 0, 0, 1024, 1024)
    share = np.bincount(labels.ravel(), minlength=len(LEGEND)) / labels.size
    assert share.min() > 0.01


def test_seeds_make_different_places() -> None:
    assert (scene_window(1, 0, 0, 64, 64)[0] != scene_window(2, 0, 0, 64, 64)[0]).any()


def test_colour_alone_does_not_tell_the_classes() -> None:
    """The mean colour of a class lies within another class's spread: context is needed."""
    image, labels = scene_window(7, -3000, 5000, 768, 768)
    pixels = image.reshape(3, -1).T.astype(float)
    half = np.arange(len(pixels)) % 2 == 0
    flat = labels.ravel()
    bins = (pixels // 16).astype(np.int64) @ np.array([256, 16, 1])
    votes = np.zeros((4096, len(LEGEND)))
    np.add.at(votes, (bins[half], flat[half]), 1)
    guess = votes.argmax(1)[bins[~half]]
    ious = [_iou(guess == c, flat[~half] == c) for c in range(len(LEGEND))]
    assert np.mean(ious) < 0.6


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@given(FAR, FAR, st.integers(1, 900))
def test_noise_on_a_grid_is_noise_at_points(row: int, col: int, cell: int) -> None:
    rows, cols = np.arange(row, row + 9), np.arange(col, col + 7)
    grid = grid_noise(3, 4, rows, cols, cell)
    points = point_noise(3, 4, *np.meshgrid(rows, cols, indexing="ij"), cell)
    np.testing.assert_allclose(grid, points, atol=1e-5)
    assert 0 <= grid.min() <= grid.max() < 1


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((0, 0, 0, 5), "0 x 5 px; ask for at least 1 x 1"),
        ((2**30, 0, 5, 5), "lies beyond 1073741824 px"),
    ],
)
def test_bad_windows_are_refused(window: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(JobError, match=message):
        scene_window(1, *window)


def test_a_written_scene_is_the_scene(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    labels_path = write_scene(path, 9, 300, 1100)
    image, labels = scene_window(9, 0, 0, 300, 1100)
    assert labels_path == label_path(path) == tmp_path / "scene_label.tif"
    with rasterio.open(path) as source, rasterio.open(labels_path) as truth:
        np.testing.assert_array_equal(source.read(), image)
        np.testing.assert_array_equal(truth.read(1), labels)
        assert source.crs == truth.crs == "EPSG:32637"
        assert source.res == (0.3, 0.3)
        assert source.profile["tiled"]
        assert truth.colormap(1)[1] == (0xC0, 0x39, 0x2B, 255)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.tif", "scene_label.tif"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match=r"absent/scene\.tif: cannot be written"):
        write_scene(tmp_path / "absent" / "scene.tif", 1, 10, 10)


def test_an_empty_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="scene of 0 x 10 px"):
        write_scene(tmp_path / "scene.tif", 1, 0, 10)
