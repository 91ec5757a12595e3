"""Labels as ids and colours on the image's grid, compared with numpy and rasterio."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import calculate_default_transform, reproject

from segtasks.config.legend import ClassEntry, LabelRules
from segtasks.errors import JobError, SegtasksError, SourceError
from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import raster_reader
from segtasks.storage.align import extent
from segtasks.storage.label_reader import Labels, open_labels
from tests.helpers.label_files import (
    COLORS,
    LEGEND,
    PLACE,
    UTM,
    Array,
    an_image,
    painted,
    random_ids,
    rgb_of,
    write_raster,
)
from tests.helpers.paths import SHARED

DUBAI = SHARED / "data" / "dubai"
DUBAI_COLORS = ("#3C1098", "#8429F6", "#6EC1E4", "#FEDD3A", "#E2A929")


def whole(labels: Labels, like: RasterHeader) -> Array:
    return labels.read(extent(like))


def in_windows(labels: Labels, like: RasterHeader, side_px: int) -> Array:
    out = np.zeros((like.height, like.width), np.uint8)
    grid = Grid(like.height, like.width, side_px)
    for tile in grid.tiles():
        out[grid.core(tile).slices] = labels.read(grid.core(tile))
    return out


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "int64"])
def test_ids_are_read_in_any_whole_dtype(tmp_path: Path, dtype: str) -> None:
    like, ids = an_image(tmp_path), random_ids()
    ids[:5] = 100
    url = write_raster(tmp_path / "labels.tif", ids.astype(dtype), nodata=100)
    expected = np.where(ids == 100, 255, ids)
    np.testing.assert_array_equal(whole(open_labels(url, like, LEGEND), like), expected)


def test_the_ignored_id_is_kept_and_nodata_becomes_it(tmp_path: Path) -> None:
    like, ids = an_image(tmp_path), random_ids(top=5)  # 3 is ignored, 4 is nodata
    url = write_raster(tmp_path / "labels.tif", ids, nodata=4)
    labels = open_labels(url, like, LEGEND, ignore=3)
    np.testing.assert_array_equal(whole(labels, like), np.minimum(ids, 3))


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_other_values_stand_for_classes_when_said(tmp_path: Path, dtype: str) -> None:
    like, ids = an_image(tmp_path), random_ids() % 2
    ids[:5] = 7
    url = write_raster(tmp_path / "labels.tif", np.where(ids == 1, 255, ids).astype(dtype))
    rules = LabelRules(label_values=(0, 255))
    labels = open_labels(url, like, LEGEND[:2], rules, ignore=7)
    np.testing.assert_array_equal(whole(labels, like), ids)
    strict = open_labels(url, like, LEGEND[:2], rules)
    with pytest.raises(
        SourceError, match=r"label 7 is none of `label_values` \(0, 255\), .* first"
    ):
        whole(strict, like)


@pytest.mark.parametrize("values", [(0,), (0, 0), (0, 1, 2)])
def test_values_must_be_one_for_each_class(tmp_path: Path, values: tuple[int, ...]) -> None:
    like = an_image(tmp_path)
    url = write_raster(tmp_path / "labels.tif", random_ids() % 2)
    with pytest.raises(JobError, match="2 classes need as many different values"):
        open_labels(url, like, LEGEND[:2], LabelRules(label_values=values))


@pytest.mark.parametrize("count", [3, 4])
def test_colours_become_ids_and_void_and_transparent_pixels_are_ignored(
    tmp_path: Path, count: int
) -> None:
    like, ids = an_image(tmp_path), random_ids(top=5)
    image = painted(ids, (*COLORS, "#9b9b9b", "#000000"))
    expected = np.where(ids > 2, 255, ids)
    if count == 4:
        alpha = np.full_like(ids, 255)
        alpha[10:20] = 0
        image, expected[10:20] = np.concatenate([image, alpha[None]]), 255
    url = write_raster(tmp_path / "labels.tif", image, photometric="rgb", alpha="yes")
    labels = open_labels(url, like, LEGEND, LabelRules(void_colors=("#9B9B9B", "#000000")))
    np.testing.assert_array_equal(in_windows(labels, like, 17), expected)


@pytest.mark.parametrize(
    ("colors", "meant"),
    [
        (COLORS, "ids"),  # as our own masks are: ids and colours agree
        (("#777777", "#888888", "#999999"), "ids"),  # any palette, to look at
        ((COLORS[0], "#888888", COLORS[2]), "ids"),  # a palette retouched
        ((COLORS[2], COLORS[0], COLORS[1]), "colours"),  # as found, in order of appearance
        ((COLORS[1], COLORS[0], "#9b9b9b"), "colours"),  # not every class, and void
    ],
)
def test_a_palette_is_ids_unless_its_colours_say_otherwise(
    tmp_path: Path, colors: tuple[str, ...], meant: str
) -> None:
    like, values = an_image(tmp_path), random_ids()
    palette = {i: (*rgb_of(color), 255) for i, color in enumerate(colors)}
    url = write_raster(tmp_path / "labels.tif", values, colormap=palette)
    labels = open_labels(url, like, LEGEND, LabelRules(void_colors=("#9b9b9b",)))
    ids = np.array([COLORS.index(c) if c in COLORS else 255 for c in colors], np.uint8)
    expected = values if meant == "ids" else ids[values]
    np.testing.assert_array_equal(whole(labels, like), expected)


@pytest.mark.parametrize("shift", [(0, 0), (7, -9), (-15, 30), (39, 59), (5.3, -4.4)])
def test_labels_that_cover_part_of_the_image_are_read_where_they_overlap(
    tmp_path: Path, shift: tuple[float, float]
) -> None:
    like, ids = an_image(tmp_path), random_ids(50, 70)
    place = PLACE @ Affine.translation(shift[1], shift[0])
    url = write_raster(tmp_path / "labels.tif", ids, transform=place)
    expected = np.full((40, 60), 255, np.uint8)
    rows, cols = np.mgrid[:40, :60] - np.round(shift).astype(int)[:, None, None]
    inside = (rows >= 0) & (rows < 50) & (cols >= 0) & (cols < 70)
    expected[inside] = ids[rows[inside], cols[inside]]
    labels = open_labels(url, like, LEGEND)
    np.testing.assert_array_equal(in_windows(labels, like, 16), expected)
    np.testing.assert_array_equal(whole(labels, like), expected)


@pytest.mark.parametrize("scale", [0.25, 3.0])
def test_labels_of_another_pixel_size_are_the_nearest(tmp_path: Path, scale: float) -> None:
    like, ids = an_image(tmp_path), random_ids(100, 100)
    url = write_raster(tmp_path / "labels.tif", ids, transform=PLACE @ Affine.scale(scale))
    rows, cols = ((np.arange(n) + 0.5) / scale for n in (40, 60))
    expected = np.full((40, 60), 255, np.uint8)
    inside = np.ix_(rows < 100, cols < 100)
    expected[inside] = ids[np.ix_(rows[rows < 100].astype(int), cols[cols < 100].astype(int))]
    np.testing.assert_array_equal(in_windows(open_labels(url, like, LEGEND), like, 16), expected)


@pytest.mark.parametrize("kind", ["ids", "colours"])
def test_labels_in_another_crs_are_warped_as_rasterio_warps(tmp_path: Path, kind: str) -> None:
    like, ids = an_image(tmp_path, 300, 200), np.kron(random_ids(30, 40), np.ones((8, 8), np.uint8))
    bounds = (499995, 3999900, 500160, 4000010)
    place, width, height = calculate_default_transform(
        UTM, "EPSG:4326", 320, 240, *bounds, dst_width=320, dst_height=240
    )
    assert (height, width) == ids.shape
    image = ids if kind == "ids" else painted(ids)
    url = write_raster(tmp_path / "labels.tif", image, crs="EPSG:4326", transform=place)
    expected = np.full((300, 200), 255, np.uint8)
    reproject(
        ids,
        expected,
        src_crs="EPSG:4326",
        src_transform=place,
        dst_crs=UTM,
        dst_transform=PLACE,
        resampling=Resampling.nearest,
        init_dest_nodata=False,
    )
    assert set(np.unique(expected)) == {0, 1, 2, 255}
    found = in_windows(open_labels(url, like, LEGEND), like, 64)
    np.testing.assert_array_equal(found == 255, expected == 255)
    assert (found != expected).mean() < 0.001  # GDAL's transformer may err by an eighth of a pixel


def test_without_a_geotransform_sizes_must_agree(tmp_path: Path) -> None:
    bare: dict[str, Any] = {"crs": None, "transform": Affine.identity()}
    like, ids = an_image(tmp_path), random_ids()
    same = write_raster(tmp_path / "same.tif", ids, **bare)
    np.testing.assert_array_equal(whole(open_labels(same, like, LEGEND), like), ids)
    other = write_raster(tmp_path / "other.tif", random_ids(41, 60), **bare)
    message = r"other\.tif is 41 x 60 px, .*image\.tif 40 x 60, and .*other\.tif has no geotrans"
    with pytest.raises(SourceError, match=message):
        open_labels(other, like, LEGEND)


def test_grids_without_any_crs_are_compared_as_they_are(tmp_path: Path) -> None:
    like, ids = an_image(tmp_path, crs=None), random_ids(20, 30)
    url = write_raster(tmp_path / "a.tif", ids, crs=None, transform=PLACE @ Affine.scale(2))
    expected = np.kron(ids, np.ones((2, 2), np.uint8))
    np.testing.assert_array_equal(whole(open_labels(url, like, LEGEND), like), expected)


FAR = PLACE @ Affine.translation(1000, 0)
HALF = PLACE @ Affine.scale(0.5)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            {"transform": FAR},
            r"does not overlap .*image\.tif: it covers rows 0 … 40, columns 1000 … 1060 of its",
        ),
        ({"crs": None, "transform": HALF}, r"labels\.tif has no CRS, .*image\.tif has one, and"),
        (
            {"crs": "EPSG:4326"},
            "has no coordinates in the other CRS of image and labels",  # metres as degrees
        ),
    ],
)
def test_labels_that_cannot_be_placed_are_refused(
    tmp_path: Path, profile: dict[str, Any], message: str
) -> None:
    url = write_raster(tmp_path / "labels.tif", random_ids(), **profile)
    with pytest.raises(SourceError, match=message):
        open_labels(url, an_image(tmp_path), LEGEND)


def test_a_missing_crs_does_not_matter_on_one_grid(tmp_path: Path) -> None:
    ids = random_ids()
    url = write_raster(tmp_path / "labels.tif", ids, crs=None)
    like = an_image(tmp_path)
    np.testing.assert_array_equal(whole(open_labels(url, like, LEGEND), like), ids)


def with_one(value: int, dtype: str) -> Array:
    ids = random_ids().astype(dtype)
    ids[30, 50] = value
    return ids


PLACED = "1 px of rows 16-40, columns 32-60, first at row 30, column 50"
ODD_COLOUR = np.array([1, 2, 3], np.uint8)


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (with_one(7, "uint8"), rf"labels\.tif: label 7 is not in the legend \(0 … 2\), {PLACED}"),
        (with_one(-1, "int16"), "label -1 is not in the legend"),
        (with_one(258, "uint16"), "label 258 is not in the legend"),  # 2, if it wrapped around
        (with_one(2**63 - 1, "int64"), f"label {2**63 - 1} is not in the legend"),
    ],
)
def test_ids_beyond_the_legend_are_named(tmp_path: Path, bands: Array, message: str) -> None:
    labels = open_labels(write_raster(tmp_path / "labels.tif", bands), an_image(tmp_path), LEGEND)
    labels.read(Window(0, 0, 30, 50))
    with pytest.raises(SourceError, match=message):
        labels.read(Window(16, 32, 24, 28))


def test_colours_beyond_the_legend_are_named(tmp_path: Path) -> None:
    image = painted(random_ids())
    image[:, 30, 50] = ODD_COLOUR
    labels = open_labels(write_raster(tmp_path / "labels.tif", image), an_image(tmp_path), LEGEND)
    with pytest.raises(SourceError, match=f"colour #010203 is not in the legend, {PLACED}"):
        labels.read(Window(16, 32, 24, 28))


@pytest.mark.parametrize(
    ("bands", "error", "message"),
    [
        (np.zeros((5, 40, 60), np.uint8), SourceError, "labels have 5 bands of uint8; give one"),
        (np.zeros((3, 40, 60), np.uint16), SourceError, "labels have 3 bands of uint16; give one"),
        (np.zeros((40, 60), np.float32), SourceError, "class ids are float32; convert them"),
    ],
)
def test_rasters_that_hold_neither_are_refused(
    tmp_path: Path, bands: Array, error: type[SegtasksError], message: str
) -> None:
    url = write_raster(tmp_path / "labels.tif", bands)
    with pytest.raises(error, match=message):
        open_labels(url, an_image(tmp_path), LEGEND)


def test_a_colour_of_two_classes_is_refused(tmp_path: Path) -> None:
    url = write_raster(tmp_path / "labels.tif", painted(random_ids()))
    rules = LabelRules(void_colors=(COLORS[1].upper().replace("#FF", "#ff"),))
    with pytest.raises(JobError, match=r"colour #ff0080 is in the legend twice"):
        open_labels(url, an_image(tmp_path), LEGEND, rules)


def test_reading_labels_needs_no_torch() -> None:
    code = "import sys, segtasks.storage.label_reader; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.shared
def test_coloured_masks_of_dubai_are_its_index_rasters() -> None:
    """For RGB and palette PNGs, whose palettes have an entry that no pixel uses."""
    images = sorted(DUBAI.glob("parts/*/images/*.jpg"))
    if not images:
        pytest.skip(f"shared imagery not found: {DUBAI} (set SEGTASKS_SHARED)")
    legend = [ClassEntry(id=i, name=str(i), color=color) for i, color in enumerate(DUBAI_COLORS)]
    rules = LabelRules(void_colors=("#9B9B9B", "#000000"))
    for image in images[::5]:
        like = raster_reader.describe(str(image))
        index = f"{image.parts[-3]}_part_{image.stem[-3:]}.png"
        coloured = open_labels(
            str(image.parents[1] / "masks" / f"{image.stem}.png"), like, legend, rules
        )
        with rasterio.open(DUBAI / "labels_index" / index) as dataset:
            np.testing.assert_array_equal(whole(coloured, like), dataset.read(1))
