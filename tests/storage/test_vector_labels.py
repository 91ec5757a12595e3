"""Vector labels: windows compared with the whole image rasterised by rasterio, and back."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from rasterio.features import rasterize, shapes
from rasterio.transform import Affine
from shapely import Point
from shapely.geometry import LineString, box, shape

from segtasks.config.legend import ClassEntry, LabelRules
from segtasks.errors import JobError, SegtasksError, SourceError
from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import object_store, raster_reader
from segtasks.storage.align import extent
from segtasks.storage.label_reader import Labels, open_labels
from tests.helpers.label_files import LEGEND, NAMES, PLACE, UTM, Array, an_image, random_ids
from tests.helpers.paths import SHARED

BY_NAME = LabelRules(label_column="kind")
TWO = LEGEND[:2]
FORMATS = ["gpkg", "fgb", "shp", "geojson", "parquet"]
FAIR_OAM = SHARED / "data" / "fair_oam"


def save(path: Path, frame: Any) -> str:  # noqa: ANN401 - a GeoDataFrame
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return str(path)


def stored(url: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """Return all features in the file's own order, in the image's CRS."""
    read = geopandas.read_parquet if url.endswith(".parquet") else geopandas.read_file
    return read(url).to_crs(UTM)


def blobs(count: int = 60) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """Return discs of all classes; many overlap each other and the image's edge."""
    rng = np.random.default_rng(1)
    middles = rng.uniform((-10, -10), (70, 50), (count, 2))
    discs = [Point(*(PLACE @ tuple(xy))).buffer(rng.uniform(0.4, 3)) for xy in middles]
    kinds = rng.choice(NAMES, count)
    return geopandas.GeoDataFrame({"kind": kinds}, geometry=discs, crs=UTM)


def in_one_piece(frame: Any, like: RasterHeader, ids: list[int], **options: Any) -> Array:  # noqa: ANN401
    burnt: Array = rasterize(
        zip(frame.geometry, ids, strict=True),
        out_shape=(like.height, like.width),
        transform=PLACE,
        dtype="uint8",
        **options,
    )
    return burnt


def in_windows(labels: Labels, like: RasterHeader, side_px: int = 17) -> Array:
    out = np.zeros((like.height, like.width), np.uint8)
    grid = Grid(like.height, like.width, side_px)
    for tile in grid.tiles():
        out[grid.core(tile).slices] = labels.read(grid.core(tile))
    return out


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_windows_are_the_image_burnt_in_one_piece(tmp_path: Path, suffix: str, crs: str) -> None:
    """The last feature of the file wins, although a spatial index has another order."""
    like = an_image(tmp_path)
    url = save(tmp_path / f"labels.{suffix}", blobs().to_crs(crs))
    frame = stored(url)
    expected = in_one_piece(frame, like, [NAMES.index(kind) for kind in frame["kind"]])
    labels = open_labels(url, like, LEGEND, BY_NAME)
    np.testing.assert_array_equal(in_windows(labels, like), expected)
    np.testing.assert_array_equal(labels.read(extent(like)), expected)


def test_without_a_column_features_are_the_second_class(tmp_path: Path) -> None:
    like, frame = an_image(tmp_path), blobs()
    url = save(tmp_path / "labels.gpkg", frame)
    expected = in_one_piece(frame, like, [1] * len(frame))
    np.testing.assert_array_equal(in_windows(open_labels(url, like, TWO), like), expected)


def test_all_touched_pixels_when_asked(tmp_path: Path) -> None:
    like, frame = an_image(tmp_path), blobs()
    url = save(tmp_path / "labels.gpkg", frame)
    labels = open_labels(url, like, TWO, LabelRules(all_touched=True))
    expected = in_one_piece(frame, like, [1] * len(frame), all_touched=True)
    found = labels.read(extent(like))
    np.testing.assert_array_equal(found, expected)
    assert found.sum() > in_one_piece(frame, like, [1] * len(frame)).sum()


def test_pixels_under_no_feature_are_ignored_when_asked(tmp_path: Path) -> None:
    like, frame = an_image(tmp_path), blobs(20)
    url = save(tmp_path / "labels.gpkg", frame)
    rules = LabelRules(label_column="kind", uncovered="ignore")
    expected = in_one_piece(frame, like, [NAMES.index(k) for k in frame["kind"]], fill=255)
    np.testing.assert_array_equal(in_windows(open_labels(url, like, LEGEND, rules), like), expected)
    assert {0, 255} < set(np.unique(expected))


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (["road", "ground", None], [2, 0, 255]),
        ([2, 0, 1], [2, 0, 1]),
        ([2.0, 255.0, float("nan")], [2, 255, 255]),  # whole numbers with a gap are floats
        (["2", "0", "building"], [2, 0, 1]),
        ([True, False, True], [1, 0, 1]),
    ],
)
def test_a_column_holds_names_or_ids_and_empty_is_ignored(
    tmp_path: Path, values: list[Any], ids: list[int]
) -> None:
    like = an_image(tmp_path)
    cells = [box(*(PLACE @ (col, 40)), *(PLACE @ (col + 20, 0))) for col in (0, 20, 40)]
    url = save(
        tmp_path / "labels.gpkg", geopandas.GeoDataFrame({"kind": values}, geometry=cells, crs=UTM)
    )
    found = open_labels(url, like, LEGEND, BY_NAME).read(extent(like))
    np.testing.assert_array_equal(found, np.repeat([ids], 20, axis=1).repeat(40, axis=0))


def test_empty_and_missing_shapes_are_passed_over(tmp_path: Path) -> None:
    like = an_image(tmp_path)
    lines = [LineString([PLACE @ (0, 0.5), PLACE @ (60, 0.5)]), None, LineString()]
    url = save(tmp_path / "labels.gpkg", geopandas.GeoDataFrame(geometry=lines, crs=UTM))
    found = open_labels(url, like, TWO).read(extent(like))
    assert found[0].all()
    assert not found[1:].any()


def test_an_image_in_a_gap_of_the_features_is_background(tmp_path: Path) -> None:
    like = an_image(tmp_path)
    around = [Point(*(PLACE @ xy)).buffer(2) for xy in ((-100, -100), (160, 140))]
    url = save(tmp_path / "labels.gpkg", geopandas.GeoDataFrame(geometry=around, crs=UTM))
    assert not open_labels(url, like, TWO).read(extent(like)).any()


def test_a_layer_is_named_as_in_qgis(tmp_path: Path) -> None:
    like, frame = an_image(tmp_path), blobs()
    path = tmp_path / "labels.gpkg"
    frame[:5].to_file(path, layer="few")
    styles = pd.DataFrame({"styleQML": ["<qgis/>"]})
    pyogrio.write_dataframe(styles, path, layer="layer_styles")  # as QGIS adds it
    alone = open_labels(str(path), like, TWO)
    frame.to_file(path, layer="all")
    expected = in_one_piece(frame[:5], like, [1] * 5)
    for labels in (alone, open_labels(f"{path}|layername=few", like, TWO)):
        np.testing.assert_array_equal(in_windows(labels, like), expected)
    with pytest.raises(SourceError, match=r"has the layers few, all; name one: .*\|layername=few"):
        open_labels(str(path), like, TWO)


def test_vectors_are_read_from_any_store(place: str, tmp_path: Path) -> None:
    like, frame = an_image(tmp_path), blobs()
    object_store.put_file(Path(save(tmp_path / "labels.gpkg", frame)), f"{place}/labels.gpkg")
    expected = in_one_piece(frame, like, [1] * len(frame))
    labels = open_labels(f"{place}/labels.gpkg", like, TWO)
    np.testing.assert_array_equal(in_windows(labels, like), expected)


def test_threads_read_one_file_concurrently(tmp_path: Path) -> None:
    like, frame = an_image(tmp_path), blobs()
    windows = [Window(row, col, 20, 20) for row in (0, 20) for col in (0, 20, 40)] * 4
    for suffix in ("gpkg", "geojson"):
        labels = open_labels(save(tmp_path / f"labels.{suffix}", frame), like, LEGEND, BY_NAME)
        expected = [labels.read(window) for window in windows]
        with ThreadPoolExecutor(6) as pool:
            for found, wanted in zip(pool.map(labels.read, windows), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_only_what_is_near_a_window_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    like = an_image(tmp_path, 20, 4000)
    dots = [Point(*(PLACE @ (col, 10))).buffer(1) for col in range(0, 4000, 20)]
    url = save(tmp_path / "labels.gpkg", geopandas.GeoDataFrame(geometry=dots, crs=UTM))
    labels = open_labels(url, like, TWO)
    sizes: list[int] = []
    read = geopandas.read_file

    def counting(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        frame = read(*args, **options)
        sizes.append(len(frame))
        return frame

    monkeypatch.setattr(geopandas, "read_file", counting)
    labels.read(Window(0, 2000, 20, 100))
    assert sizes == [12]  # columns 1936 … 2164, of 200 in all


BARE = {"crs": None, "transform": Affine.identity()}


@pytest.mark.parametrize(
    ("image", "rules", "legend", "error", "message"),
    [
        ({}, None, LEGEND, JobError, "3 classes need a column .* label_column to one of kind"),
        ({}, LabelRules(label_column="art"), LEGEND, SourceError, "no column art; set .* of kind"),
        (BARE, BY_NAME, LEGEND, SourceError, r"image\.tif has no geotransform, so .*labels\.gpkg"),
        ({"crs": None}, BY_NAME, LEGEND, SourceError, r"image\.tif has no CRS, .*labels\.gpkg has"),
        (
            {"crs": "EPSG:32638"},
            BY_NAME,
            LEGEND,
            SourceError,
            r"labels\.gpkg does not overlap .*image",
        ),
    ],
)
def test_vectors_that_cannot_be_labels_are_refused(
    tmp_path: Path,
    image: dict[str, Any],
    rules: LabelRules | None,
    legend: list[ClassEntry],
    error: type[SegtasksError],
    message: str,
) -> None:
    url = save(tmp_path / "labels.gpkg", blobs())
    with pytest.raises(error, match=message):
        open_labels(url, an_image(tmp_path, **image), legend, rules)


@pytest.mark.parametrize("value", ["rail", 3, -1, 1.5, float("inf")])
def test_a_value_beyond_the_legend_is_named(tmp_path: Path, value: str | float) -> None:
    frame = blobs().assign(kind=value)
    labels = open_labels(save(tmp_path / "l.gpkg", frame), an_image(tmp_path), LEGEND, BY_NAME)
    with pytest.raises(SourceError, match=rf"kind is '?{value}.*, which is not in the legend"):
        labels.read(Window(0, 0, 40, 60))


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_that_are_missing_or_damaged_are_named(tmp_path: Path, suffix: str) -> None:
    path, like = tmp_path / f"labels.{suffix}", an_image(tmp_path)
    with pytest.raises(SourceError, match=rf"labels\.{suffix}: no such file; check the path"):
        open_labels(str(path), like, TWO)
    path.write_bytes(b"no vectors")
    with pytest.raises(SourceError, match=rf"labels\.{suffix}: cannot be read as vectors"):
        open_labels(str(path), like, TWO)


def test_the_extra_is_named_where_geopandas_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, like = save(tmp_path / "labels.gpkg", blobs()), an_image(tmp_path)
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(SourceError, match=r"pip install 'segtasks\[vectors\]'"):
        open_labels(url, like, TWO)


def test_index_rasters_made_into_polygons_give_the_same_ids(tmp_path: Path) -> None:
    like, ids = an_image(tmp_path), random_ids()
    found = shapes(ids, transform=PLACE)
    rows = [{"geometry": shape(polygon), "kind": int(value)} for polygon, value in found]
    url = save(tmp_path / "labels.fgb", geopandas.GeoDataFrame(rows, crs=UTM).to_crs("EPSG:4326"))
    labels = open_labels(url, like, LEGEND, LabelRules(label_column="kind", uncovered="ignore"))
    np.testing.assert_array_equal(in_windows(labels, like), ids)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["kampala_b", "philippines_b"])
def test_buildings_of_openstreetmap_made_into_polygons_give_their_raster(
    tmp_path: Path, name: str
) -> None:
    if not (FAIR_OAM / f"{name}.tif").exists():
        pytest.skip(f"shared imagery not found: {FAIR_OAM} (set SEGTASKS_SHARED)")
    like = raster_reader.describe(str(FAIR_OAM / f"{name}.tif"))
    with rasterio.open(FAIR_OAM / f"{name}_label.tif") as dataset:
        truth, place, crs = dataset.read(1), dataset.transform, dataset.crs
    outlines = [shape(outline) for outline, _ in shapes(truth, mask=truth == 1, transform=place)]
    frame = geopandas.GeoDataFrame(geometry=outlines, crs=crs).to_crs("EPSG:4326")
    labels = open_labels(save(tmp_path / "osm.geojson", frame), like, TWO)
    np.testing.assert_array_equal(in_windows(labels, like, 300), truth)
