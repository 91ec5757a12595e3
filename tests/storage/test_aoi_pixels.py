"""Areas of interest: every way to give one, compared with other programs pixel by pixel."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.transform import Affine, from_origin
from shapely.geometry import mapping

from segtasks.errors import JobError, SourceError
from segtasks.raster.grid import Grid, Tile, TileSelection, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage.aoi import Area, cut, describe, save

UTM, WGS84 = "EPSG:32637", "EPSG:4326"
PLACE = from_origin(5e5, 3e6, 0.3, 0.3)
STAR = shapely.Polygon(
    [(10.2, 12.7), (90.1, 30.3), (180.5, 8.9), (150.2, 88.8), (120.3, 60.1), (30.7, 95.5)],
    [[(60.2, 40.1), (75.7, 44.4), (66.6, 55.5)]],
)


def raster(
    height: int = 100, width: int = 200, place: Affine = PLACE, crs: str | None = UTM
) -> RasterHeader:
    wkt = CRS.from_user_input(crs).to_wkt() if crs else None
    where = None if place.is_identity else tuple(place)[:6]
    return RasterHeader(
        url="a.tif",
        identity="1",
        height=height,
        width=width,
        bands=(1,),
        dtype="uint8",
        crs_wkt=wkt,
        transform=where,
    )


def on_map(shape: Any, place: Affine = PLACE) -> Any:  # noqa: ANN401 - shapely's
    """Transform a shape from pixels to the raster's CRS."""
    return shapely.transform(shape, lambda at: np.array([place @ tuple(point) for point in at]))


def whole(area: Area, like: RasterHeader) -> np.ndarray[Any, Any]:
    return area.inside(Window(0, 0, like.height, like.width))


def as_rasterio_masks(shape: Any, like: RasterHeader) -> np.ndarray[Any, Any]:  # noqa: ANN401 - shapely's
    place = Affine(*(like.transform or Affine.identity()))
    mask: np.ndarray[Any, Any] = geometry_mask(
        [mapping(shape)], (like.height, like.width), place, invert=True
    )
    return mask


def written(shape: Any, path: Path, crs: str | None = UTM) -> str:  # noqa: ANN401 - shapely's
    frame = geopandas.GeoDataFrame(geometry=[shape], crs=crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return str(path)


@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.parquet", "a.geojson", "a.shp"])
def test_files_are_as_rasterio_masks_them(tmp_path: Path, name: str) -> None:
    shape = on_map(STAR)
    # GeoJSON is always in WGS84; the other formats keep the raster's CRS.
    if name.endswith("json"):
        frame = geopandas.GeoDataFrame(geometry=[shape], crs=UTM).to_crs(WGS84)
        frame.to_file(tmp_path / name, COORDINATE_PRECISION=15)
        url = str(tmp_path / name)
    else:
        url = written(shape, tmp_path / name)
    area = describe(url, None, raster())
    assert np.array_equal(whole(area, raster()), as_rasterio_masks(shape, raster()))


def test_wkt_and_boxes_are_in_the_rasters_crs_unless_said() -> None:
    shape, box = on_map(STAR), on_map(shapely.box(20, 30, 90.3, 77.8))
    found = describe(shape.wkt, None, raster())
    assert np.array_equal(whole(found, raster()), as_rasterio_masks(shape, raster()))
    text = ",".join(map(repr, map(float, box.bounds)))
    found = describe(text, None, raster())
    assert np.array_equal(whole(found, raster()), as_rasterio_masks(box, raster()))
    there = geopandas.GeoSeries([shape], crs=UTM).to_crs(WGS84)[0]
    found = describe(shapely.to_wkt(there, rounding_precision=15), WGS84, raster())
    assert np.array_equal(whole(found, raster()), as_rasterio_masks(shape, raster()))


def test_without_geotransform_and_crs_it_is_in_pixels() -> None:
    plain = raster(place=Affine.identity(), crs=None)
    found = describe("20,30,90,77", None, plain)
    rows, cols = np.nonzero(whole(found, plain))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (30, 76, 20, 89)


def test_straight_edges_are_curved_in_another_crs() -> None:
    """Oracle: each pixel's centre is transformed to the area's CRS, where edges are straight."""
    like = raster(700, 900, from_origin(3e5, 7.1e6, 400, 400))
    box = (37.0, 61.2, 41.9, 63.0)
    found = whole(describe(",".join(map(str, box)), WGS84, like), like)
    cols, rows = np.meshgrid(np.arange(900) + 0.5, np.arange(700) + 0.5)
    there = pyproj.Transformer.from_crs(UTM, WGS84, always_xy=True)
    lon, lat = there.transform(3e5 + 400 * cols, 7.1e6 - 400 * rows)
    true = (lon > box[0]) & (lon < box[2]) & (lat > box[1]) & (lat < box[3])
    assert 50_000 < np.count_nonzero(true) < true.size
    # Only centres within a hundredth of a pixel of an edge may differ.
    assert np.count_nonzero(found != true) <= 0.01 * np.count_nonzero(np.diff(true))
    corners = geometry_mask(
        [mapping(geopandas.GeoSeries([shapely.box(*box)], crs=WGS84).to_crs(UTM)[0])],
        true.shape,
        Affine(*like.transform or ()),
        invert=True,
    )
    assert np.count_nonzero(corners != true) > 1000


def test_the_world_may_be_an_area() -> None:
    found = describe("-180,-90,180,90", WGS84, raster())
    assert whole(found, raster()).all()


POINTS = st.tuples(st.floats(-40, 240), st.floats(-30, 130))


@settings(max_examples=25)
@given(
    points=st.lists(POINTS, min_size=3, max_size=9),
    core_px=st.integers(1, 70),
)
def test_windows_and_tiles_are_parts_of_the_whole(
    points: list[tuple[float, float]], core_px: int
) -> None:
    hull = shapely.MultiPoint(points).convex_hull
    if hull.geom_type != "Polygon":
        return
    area = Area(([[list(point) for point in hull.exterior.coords]],))
    like, grid = raster(), Grid(100, 200, core_px)
    mask = whole(area, like)
    assert np.array_equal(mask, as_rasterio_masks(hull, raster(place=Affine.identity(), crs=None)))
    for tile in grid.tiles():
        core = grid.core(tile)
        assert np.array_equal(area.inside(core), mask[core.slices])
    held = {tile for tile in grid.tiles() if mask[grid.core(tile).slices].any()}
    assert set(area.tiles(grid)) == held


def test_what_is_saved_is_what_was_described(tmp_path: Path) -> None:
    area = describe(on_map(STAR).wkt, None, raster())
    save(str(tmp_path), area)
    window = Window(3, 5, 80, 150)
    valid = np.random.default_rng(1).random(window.shape) < 0.5
    kept = cut(valid, str(tmp_path), area.digest, window)
    assert np.array_equal(kept, valid & area.inside(window))
    assert np.array_equal(cut(valid, str(tmp_path), None, window), valid)


def test_overlapping_and_many_shapes_are_their_union(tmp_path: Path) -> None:
    shapes = [on_map(shapely.Point(x, 50).buffer(20)) for x in (40, 60, 150)]
    shapes.append(shapely.MultiPolygon([on_map(shapely.box(1, 1, 9, 9)), shapes[0]]))
    geopandas.GeoDataFrame(geometry=shapes, crs=UTM).to_file(tmp_path / "a.gpkg")
    area = describe(str(tmp_path / "a.gpkg"), None, raster())
    union = np.any([as_rasterio_masks(shape, raster()) for shape in shapes], axis=0)
    assert np.array_equal(whole(area, raster()), union)


BOW = "POLYGON ((500000 2999970, 500030 2999999, 500030 2999970, 500000 2999999, 500000 2999970))"
BAD = {
    "beside": ("600000,2900000,600100,2900100", None, "contains no pixel of a.tif; check"),
    "between centres": ("500000.01,2999990,500000.02,2999999", None, "contains no pixel"),
    "swapped": ("500010,2999990,500000,2999999", None, "is empty; give MINX,MINY"),
    "three numbers": ("1,2,3", None, "is no vector file .*WKT or box"),
    "words": ("my field", None, "is no vector file"),
    "broken wkt": ("POLYGON ((0 0, 1 1", None, "is no WKT"),
    "empty wkt": ("POLYGON EMPTY", None, "is empty; give at least one polygon"),
    "line": ("LINESTRING (0 0, 1 1)", None, "shape 1 of 1 is a LineString; give polygons"),
    "bow": (BOW, None, r"shape 1 of 1 is invalid \(Self-intersection"),
    "unknown crs": ("1,2,3,4", "EPSG:999999", "aoi_crs EPSG:999999: unknown"),
    "no crs at all": ("1,2,3,4", "Mars", "aoi_crs Mars: unknown"),
}


@pytest.mark.parametrize(("aoi", "crs", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_one_line(aoi: str, crs: str | None, message: str) -> None:
    with pytest.raises(JobError, match=message) as refused:
        describe(aoi, crs, raster())
    assert "\n" not in str(refused.value)


def test_a_crs_on_one_side_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"has a CRS, a.tif has none; write it into the raster"):
        describe("37,27,38,28", WGS84, raster(crs=None))
    bare = written(on_map(STAR), tmp_path / "bare.gpkg", crs=None)
    with pytest.raises(JobError, match="has no CRS; give --aoi-crs"):
        describe(bare, None, raster())
    assert whole(describe(bare, UTM, raster()), raster()).any()
    with pytest.raises(JobError, match="has no geotransform, which an area needs; warp the raster"):
        describe("37,27,38,28", WGS84, raster(place=Affine.identity()))


def test_files_that_are_missing_or_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        describe(str(tmp_path / "none.gpkg"), None, raster())
    empty = tmp_path / "empty.geojson"
    empty.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(JobError, match="is empty; give at least one polygon"):
        describe(str(empty), None, raster())


@given(cores=st.integers(1, 40), picked=st.sets(st.integers(0, 200)))
def test_a_selection_holds_the_tiles_it_was_made_of(cores: int, picked: set[int]) -> None:
    grid = Grid(97, 131, cores)
    every = list(grid.tiles())
    tiles = {every[index % len(every)] for index in picked}
    made = TileSelection.of(grid, tiles)
    assert list(made) == sorted(tiles)
    assert len(made) == len(tiles)
    assert all((tile in made) == (tile in tiles) for tile in every)
    assert made.pixels == sum(grid.core(tile).pixels for tile in tiles)
    assert TileSelection(grid).pixels == 97 * 131
    assert set(TileSelection(grid)) == set(every)
    assert len(made.bits or b"") == -(-len(grid) // 8)
    assert Tile(0, 0) in TileSelection(grid)
