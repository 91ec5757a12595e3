"""Polygons as a stage of the route, and as files that GDAL and geopandas read."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod
from rasterio.features import geometry_mask, shapes
from rasterio.transform import Affine

from segtasks.config.job import make_job
from segtasks.errors import DestinationError, JobError
from segtasks.outputs import polygon_layer
from segtasks.pipeline.run import Result, segment
from segtasks.storage import vector_writer
from segtasks.training.synthetic.write import write_scene
from tests.helpers import job_runs

TILING = {"patch_px": 128, "overlap_px": 0}
SUFFIXES = {"parquet": "parquet", "flatgeobuf": "fgb", "gpkg": "gpkg"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    return job_runs.write_network(folder / "m.safetensors", "linear", width=1)


def photo(path: Path, **place: Any) -> Path:  # noqa: ANN401 - rasterio's profile
    """The usual photo somewhere else on earth, or nowhere."""
    job_runs.write_photo(path, 200, 260, nodata_rows=30)
    with rasterio.open(path) as dataset:
        pixels = dataset.read()
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": 200, "width": 260}
    with rasterio.open(path, "w", nodata=0, **profile, **place) as dataset:
        dataset.write(pixels)
    return path


def run(
    source: Path, model: Path, to: Path, vectors: dict[str, Any], tile_px: int = 128, **more: object
) -> Result:
    base: dict[str, Any] = {"source": str(source), "model": str(model), "to": str(to)}
    base |= {"tiling": {**TILING, "tile_px": tile_px}, "crf": None, "compute": {"kind": "inline"}}
    base |= {"outputs": {"confidence": None}}
    return segment(make_job({**base, "vectors": vectors, **more}))


def read(to: Path, kind: str = "parquet") -> Any:  # noqa: ANN401 - a GeoDataFrame
    path = to / f"polygons.{SUFFIXES[kind]}"
    return geopandas.read_parquet(path) if kind == "parquet" else geopandas.read_file(path)


def of_mask(to: Path) -> list[tuple[int, Any]]:
    """Pieces of the mask in one piece, by rasterio."""
    with rasterio.open(to / "mask.tif") as dataset:
        mask, place = dataset.read(1), dataset.transform
    found = shapes(mask, mask=mask != 255, connectivity=4, transform=place)
    return [(int(value), shapely.geometry.shape(geometry)) for geometry, value in found]


def by_class(pairs: list[tuple[int, float]]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for class_id, area in pairs:
        found.setdefault(class_id, []).append(area)
    return {class_id: sorted(areas) for class_id, areas in found.items()}


def same_pieces(frame: Any, expected: list[tuple[int, Any]]) -> None:  # noqa: ANN401 - see read
    one = by_class(list(zip(frame["class"], frame.area, strict=True)))
    other = by_class([(class_id, shape.area) for class_id, shape in expected])
    assert one.keys() == other.keys()
    for class_id, areas in one.items():
        np.testing.assert_allclose(areas, other[class_id], rtol=1e-6)


def test_tiles_of_512_and_the_mask_in_one_piece(model: Path, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene.tif", 62, 700, 1100)
    result = run(tmp_path / "scene.tif", model, tmp_path / "o", {}, 512, cleanup={"sieve_px": 20})
    assert result.tiles_done["vectorise"] == 6
    frame = read(tmp_path / "o")
    assert len(frame) > 50
    same_pieces(frame, of_mask(tmp_path / "o"))
    assert frame.area.sum() == pytest.approx(700 * 1100 * 0.09)
    assert frame.is_valid.all()
    assert set(frame["name"]) <= {f"class {i}" for i in range(4)}


@pytest.mark.parametrize("kind", SUFFIXES)
def test_every_format_has_the_same_features(kind: str, model: Path, tmp_path: Path) -> None:
    source = photo(
        tmp_path / "p.tif", crs="EPSG:32637", transform=Affine(0.3, 0, 5e5, 0, -0.3, 3e6)
    )
    result = run(source, model, tmp_path / "o", {"format": kind})
    assert result.urls["polygons"] == f"{tmp_path}/o/polygons.{SUFFIXES[kind]}"
    frame = read(tmp_path / "o", kind)
    same_pieces(frame, of_mask(tmp_path / "o"))
    assert frame.crs.to_epsg() == 32637
    assert list(frame.columns) == ["class", "name", "area_m2", "geometry"]
    np.testing.assert_allclose(frame["area_m2"], frame.area, rtol=2e-3)  # UTM's scale
    assert frame.exterior.is_ccw.all()


@pytest.mark.parametrize(
    "place",
    [
        {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 36.8, 0, -1e-4, 55)},
        {"crs": "EPSG:4326", "transform": Affine(1e-4, 2e-5, 36.8, 3e-5, -1e-4, -20)},  # turned
        {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 36.8, 0, 1e-4, 55)},  # south up
    ],
)
def test_areas_are_those_of_the_ellipsoid(
    place: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    source = photo(tmp_path / "p.tif", **place)
    run(source, model, tmp_path / "o", {})
    frame = read(tmp_path / "o")
    same_pieces(frame, of_mask(tmp_path / "o"))
    geod = Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(shape)[0]) for shape in frame.geometry]
    np.testing.assert_allclose(frame["area_m2"], areas, rtol=1e-5, atol=0.01)
    assert frame.exterior.is_ccw.all()


def test_a_raster_of_no_place_has_pixels(model: Path, tmp_path: Path) -> None:
    run(photo(tmp_path / "p.tif"), model, tmp_path / "o", {"minimum_area_m2": 5})
    frame = read(tmp_path / "o")
    assert frame.crs is None
    assert (frame["area_px"] == frame.area).all()
    assert frame["area_px"].min() >= 5
    bounds = frame.total_bounds
    assert (bounds[1], bounds[3]) == (30, 200)  # rows, downwards; the first 30 are nodata


def test_what_is_left_out_and_simplified_alike_in_any_tiles(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Blocks that end with the raster, and are far smaller than it.
    monkeypatch.setattr(polygon_layer, "BLOCK_PX", 20)
    source = photo(
        tmp_path / "p.tif", crs="EPSG:32637", transform=Affine(0.3, 0, 5e5, 0, -0.3, 3e6)
    )
    settings = {"without": ["class 1"], "minimum_area_m2": 1.5, "simplify_m": 0.5}
    frames = {}
    for tile_px in (64, 512):
        sieve = {"sieve_px": 12}
        run(source, model, tmp_path / str(tile_px), settings, tile_px, cleanup=sieve)
        frame = read(tmp_path / str(tile_px))
        columns = frame["class"], frame["area_m2"], frame.geometry.to_wkb()
        frames[tile_px] = sorted(zip(*columns, strict=True))
    assert frames[64] == frames[512]
    assert frame.is_valid.all()
    assert not (frame["class"] == 1).any()
    exact = [shape for class_id, shape in of_mask(tmp_path / "64") if class_id != 1]
    assert len(frame) == sum(round(shape.area / 0.09) >= 17 for shape in exact)
    assert shapely.get_num_coordinates(frame.geometry).sum() < 0.7 * sum(
        shapely.get_num_coordinates(shape) for shape in exact if shape.area > 1.5
    )


def test_mean_confidence_is_that_of_the_band(model: Path, tmp_path: Path) -> None:
    source = photo(
        tmp_path / "p.tif", crs="EPSG:32637", transform=Affine(0.3, 0, 5e5, 0, -0.3, 3e6)
    )
    run(source, model, tmp_path / "o", {}, outputs={"confidence": "margin"})
    frame = read(tmp_path / "o")
    assert list(frame.columns) == ["class", "name", "area_m2", "confidence", "geometry"]
    with rasterio.open(tmp_path / "o/confidence.tif") as dataset:
        band, place = dataset.read(1), dataset.transform
    for index in (0, len(frame) // 2, int(frame.area.argmax())):
        inside = geometry_mask([frame.geometry[index]], band.shape, place, invert=True)
        assert frame["confidence"][index] == pytest.approx(band[inside].mean() / 254, abs=1e-4)


def test_other_polygons_are_another_job(model: Path, tmp_path: Path) -> None:
    source = photo(tmp_path / "p.tif")
    run(source, model, tmp_path / "o", {}, keep_workspace=True)
    with pytest.raises(DestinationError, match="made by another job"):
        run(source, model, tmp_path / "o", {"simplify_m": 2})
    again = run(source, model, tmp_path / "o", {"simplify_m": 2}, overwrite=True)
    assert again.tiles_done == {"ingest": 0, "predict": 0, "vectorise": 6}
    assert run(source, model, tmp_path / "o", {"simplify_m": 2}).status == "was done already"


def test_refusals(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = photo(tmp_path / "p.tif")
    with pytest.raises(JobError, match=r"no class 'sea'; it has class 0, class 1"):
        run(source, model, tmp_path / "o", {"without": ["sea"]})
    with pytest.raises(JobError, match=r"names all classes of the model; name fewer"):
        run(source, model, tmp_path / "o", {"without": [f"class {i}" for i in range(4)]})
    monkeypatch.setattr(vector_writer, "NEEDED", ("shapely", "nothing_of_that_name"))
    with pytest.raises(JobError, match=r"needs nothing_of_that_name; pip install .*\[vectors\]"):
        run(source, model, tmp_path / "o", {})
    assert not (tmp_path / "o").exists()


def test_a_mask_without_pieces_is_an_empty_file(model: Path, tmp_path: Path) -> None:
    source = photo(tmp_path / "p.tif")
    for kind in SUFFIXES:
        settings = {"minimum_area_m2": 1e9, "format": kind}
        run(source, model, tmp_path / kind, settings)
        assert len(read(tmp_path / kind, kind)) == 0
