"""The checks and statistics of pairs before training, and the names in messages."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from segtasks.config.label_sources import PairSource
from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, SegtasksError, SourceError
from segtasks.networks.model_file import load
from segtasks.raster.grid import Window
from segtasks.training.image_pairs import (
    SCAN_PX,
    Pair,
    band_moments,
    check_alike,
    class_pixels,
    open_pairs,
    require_classes,
    warn_of_absent,
)
from segtasks.training.loop import train
from tests.helpers.label_files import LEGEND, PLACE, UTM, Array, painted, random_ids, write_raster

Jobs = Callable[..., TrainJob]
BY_COLUMN = {"label_column": "kind", "uncovered": "ignore"}


def pairs_of(jobs: Jobs, *names: tuple[str, str], **changes: Any) -> list[Pair]:  # noqa: ANN401
    sources = tuple(PairSource(image=image, labels=labels) for image, labels in names)
    job = jobs(sources=sources, legend=LEGEND, **changes)
    return open_pairs(job.sources, job)


def noise(folder: Path, name: str, shape: tuple[int, int] = (40, 60), **profile: Any) -> str:  # noqa: ANN401
    image = np.random.default_rng(1).integers(1, 256, (3, *shape)).astype(np.uint8)
    return write_raster(folder / name, image, **profile)


def test_pixels_of_all_kinds_of_labels_are_counted_where_images_are_valid(
    jobs: Jobs, tmp_path: Path
) -> None:
    shape = (SCAN_PX + 30, 50)  # more than one window
    ids = random_ids(*shape)
    image = noise(tmp_path, "image.tif", shape, nodata=0)
    with rasterio.open(image, "r+") as dataset:
        dataset.write(np.zeros((3, 20, 50), np.uint8), window=((0, 20), (0, 50)))
    as_ids = write_raster(tmp_path / "ids.tif", ids)
    as_colours = write_raster(tmp_path / "colours.png", painted(ids), driver="PNG")
    cells = [box(*(PLACE @ (0, 1024)), *(PLACE @ (50, 900)))]
    frame = geopandas.GeoDataFrame({"kind": ["road"]}, geometry=cells, crs=UTM)
    frame.to_file(tmp_path / "roads.gpkg")
    names = [(image, as_ids), (image, as_colours), (image, str(tmp_path / "roads.gpkg"))]
    pairs = pairs_of(jobs, *names, labels=BY_COLUMN)
    expected = 2 * np.bincount(ids[20:].ravel(), minlength=3) + np.array([0, 0, 124 * 50])
    np.testing.assert_array_equal(class_pixels(pairs, 3), expected)


def test_five_bands_of_uint16_are_measured_over_valid_pixels_and_trained_on(
    jobs: Jobs, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(1, 40000, (5, 96, 128)).astype(np.uint16)
    image[4] = image[4] // 100 + 10000
    image[:, :, 50:80] = 0  # nodata: it would pull every mean down
    pair = (
        write_raster(tmp_path / "five.tif", image, nodata=0),
        write_raster(tmp_path / "labels.tif", random_ids(96, 128)),
    )
    source = (PairSource(image=pair[0], labels=pair[1]),)
    job = jobs(sources=source, validation=source, legend=LEGEND)
    opened = open_pairs(job.sources, job)
    valid = np.delete(image, np.s_[50:80], axis=2).reshape(5, -1).astype(float)
    mean, std = band_moments(opened)
    np.testing.assert_allclose(mean, valid.mean(1))
    np.testing.assert_allclose(std, valid.std(1))
    _, known, labels = opened[0].read(Window(0, 40, 96, 50))
    np.testing.assert_array_equal(known, (image[0, :, 40:90] > 0))
    assert (labels[~known] == 255).all()
    train(job)
    card = load(job.to)[1]
    assert (len(card.bands), card.normalisation.dtype) == (5, "uint16")
    np.testing.assert_allclose(card.normalisation.mean, mean)


def test_images_whose_bands_are_in_another_order_are_refused(jobs: Jobs, tmp_path: Path) -> None:
    labels = write_raster(tmp_path / "labels.tif", random_ids(96, 128))
    names = []
    for order in (("red", "green", "blue"), ("blue", "green", "red")):
        image = np.random.default_rng(2).integers(1, 255, (3, 96, 128)).astype(np.uint8)
        names.append((write_raster(tmp_path / f"{order[0]}.tif", image), labels))
        with rasterio.open(names[-1][0], "r+") as dataset:
            dataset.descriptions = order
    pairs = pairs_of(jobs, *names)
    check_alike(pairs[:1] * 2)
    with pytest.raises(
        JobError,
        match=r"blue\.tif has its bands as blue, green, red, .*red\.tif as red, green, blue",
    ):
        check_alike(pairs)


def test_a_class_without_a_pixel_is_refused_in_training_and_logged_in_validation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pixels = np.array([10, 0, 0])
    with pytest.raises(SourceError, match="of class building, road; remove it from the legend"):
        require_classes(pixels, LEGEND)
    require_classes(pixels + 1, LEGEND)
    with caplog.at_level(logging.WARNING, "segtasks"):
        warn_of_absent(np.array([10, 0, 3]), LEGEND)
    assert [record.getMessage() for record in caplog.records] == [
        "no pixel of the validation pairs is of class building: its IoU cannot be measured"
    ]


def void(folder: Path) -> str:
    return write_raster(folder / "void.tif", np.full((40, 60), 255, np.uint8))


def ids(folder: Path) -> str:
    return write_raster(folder / "ids.tif", random_ids())


def ground(folder: Path) -> str:
    return write_raster(folder / "ground.tif", random_ids(top=1))


Make = Callable[[Path], str]


@pytest.mark.parametrize(
    ("training", "validation", "message"),
    [
        (void, ids, r"no pixel of the training pairs \(.*void\.tif and 0 more\) is labelled"),
        (ids, void, r"no pixel of the validation pairs \(.*void\.tif and 0 more\) is labelled"),
        (ground, ids, "no pixel of the training pairs is of class building, road; remove"),
    ],
)
def test_splits_without_labelled_pixels_are_refused(
    jobs: Jobs, tmp_path: Path, training: Make, validation: Make, message: str
) -> None:
    image = noise(tmp_path, "image.tif")
    parts = {"sources": training, "validation": validation}
    sources = {
        key: (PairSource(image=image, labels=make(tmp_path)),) for key, make in parts.items()
    }
    job = jobs(**sources, legend=LEGEND)
    with pytest.raises(SourceError, match=message):
        train(job, _fail)
    assert not Path(job.to).exists()


def _fail(_: object) -> None:
    raise AssertionError("training started")


def cut_short(path: str) -> None:
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) * 3 // 4])


def replaced(path: str) -> None:
    Path(path).write_bytes(b"no raster")


@pytest.mark.parametrize("spoil", [cut_short, replaced])
@pytest.mark.parametrize("which", ["image", "labels"])
@pytest.mark.parametrize("split", ["sources", "validation"])
def test_a_damaged_file_in_the_middle_of_a_list_is_named_before_training(
    jobs: Jobs, tmp_path: Path, spoil: Callable[[str], None], which: str, split: str
) -> None:
    tiled: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    for place in range(5):
        noise(tmp_path, f"{place}.tif", **tiled)
        write_raster(tmp_path / f"{place}_label.tif", random_ids(), **tiled)
    spoil(str(tmp_path / ("2.tif" if which == "image" else "2_label.tif")))
    good, all_five = (
        (PairSource(image=f"{tmp_path}/[{digits}].tif", labels="{parent}/{stem}_label.tif"),)
        for digits in ("0134", "01234")
    )
    sources = {"sources": good, "validation": good} | {split: all_five}
    job = jobs(**sources, legend=LEGEND)
    name = r"2\.tif" if which == "image" else r"2_label\.tif"
    with pytest.raises(SegtasksError, match=rf"{name}: .*cannot be (read|opened)"):
        train(job, _fail)
    assert not Path(job.to).exists()


def test_a_strange_label_is_the_first_of_the_list_whoever_reads_first(
    jobs: Jobs, tmp_path: Path
) -> None:
    names = []
    for place in range(12):
        values: Array = random_ids()
        values[3, 4] = 0 if place < 5 else 100 + place
        labels = write_raster(tmp_path / f"{place}_label.tif", values)
        names.append((noise(tmp_path, f"{place}.tif"), labels))
    pairs = pairs_of(jobs, *names)
    for _ in range(5):
        with pytest.raises(SourceError, match=r"5_label\.tif: label 105 is not in the legend"):
            class_pixels(pairs, 3)
