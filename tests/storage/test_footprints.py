"""Outlines on earth: against pyproj, the geodesic area of the pixels, and at the antimeridian."""

from typing import Any

import pytest
import rasterio.crs
from pyproj import Geod, Transformer
from shapely.geometry import shape

from segtasks.raster.header import Affine, GroundControlPoint, RasterHeader
from segtasks.storage.geolocation import bounds, crs_code, footprint

UTM_60: Affine = (1000, 0, 7e5, 0, -1000, 6e6)


def placed(
    crs: str | None,
    transform: Affine | None,
    side: int = 300,
    **fields: Any,  # noqa: ANN401 - any of a raster's
) -> RasterHeader:
    wkt = rasterio.crs.CRS.from_user_input(crs).to_wkt() if crs else None
    header = {"url": "a.tif", "identity": "", "bands": (1,), "dtype": "uint8"} | fields
    return RasterHeader(height=side, width=side, crs_wkt=wkt, transform=transform, **header)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32637", (0.3, 0, 5e5, 0, -0.3, 3e6)),
        ("EPSG:32637", (3, 4, 5e5, 4, -3, 3e6)),  # rotated
        ("EPSG:32637", (0.3, 0, 5e5, 0, 0.3, 3e6)),  # south up
        ("EPSG:32660", UTM_60),
        ("EPSG:4326", (0.1, 0, 175, 0, -0.1, 10)),
        ("EPSG:6931", (10_000, 0, -1e6, 0, -10_000, 2e6)),  # equal area, the pole inside
    ],
)
def test_outline_has_the_area_of_the_pixels(crs: str, transform: Affine) -> None:
    """By the geodesic area of the outline cut into fine pieces by pyproj."""
    found = footprint(placed(crs, transform))
    assert found is not None
    outline = shape(found)
    assert outline.is_valid
    area = abs(sum(Geod(ellps="WGS84").geometry_area_perimeter(p)[0] for p in parts(outline)))
    assert area == pytest.approx(true_area(crs, transform), rel=0.002)


def parts(outline: Any) -> list[Any]:  # noqa: ANN401 - shapely has no types
    return [part.segmentize(0.05) for part in getattr(outline, "geoms", [outline])]


def true_area(crs: str, transform: Affine, side: int = 300) -> float:
    """m²: squares of pixels, summed as geodesic quadrilaterals on a 30 x 30 grid."""
    a, b, c, d, e, f = transform
    to_degrees = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    total, step = 0.0, side // 30
    for row in range(0, side, step):
        for col in range(0, side, step):
            ring = [(col, row), (col, row + step), (col + step, row + step), (col + step, row)]
            xs, ys = [a * x + b * y + c for x, y in ring], [d * x + e * y + f for x, y in ring]
            lon, lat = to_degrees.transform(xs, ys)
            total += abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])
    return total


def test_a_small_raster_has_four_corners_those_of_pyproj() -> None:
    found = footprint(placed("EPSG:32637", (0.3, 0, 5e5, 0, -0.3, 3e6)))
    assert found is not None
    ring = found["coordinates"][0]
    to_degrees = Transformer.from_crs("EPSG:32637", "OGC:CRS84", always_xy=True)
    corners = [(5e5, 3e6), (5e5, 3e6 - 90), (5e5 + 90, 3e6 - 90), (5e5 + 90, 3e6), (5e5, 3e6)]
    assert len(ring) == 5
    for point, corner in zip(ring, corners, strict=True):
        assert point == pytest.approx(to_degrees.transform(*corner), abs=1e-7)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32637", (100, 0, 5e5, 0, -100, 3e6)),
        ("EPSG:32637", (100, 0, 5e5, 0, 100, 3e6)),
        ("EPSG:32660", UTM_60),
    ],
)
def test_rings_are_closed_and_counterclockwise(crs: str, transform: Affine) -> None:
    found = footprint(placed(crs, transform))
    for part in getattr(shape(found), "geoms", [shape(found)]):
        assert part.exterior.is_ccw
        assert part.exterior.is_ring


def test_across_the_antimeridian_it_is_cut_and_its_box_turns_around() -> None:
    found = footprint(placed("EPSG:32660", UTM_60))
    assert found is not None
    assert found["type"] == "MultiPolygon"
    west, south, east, north = bounds(found)
    assert 179 < west < 180
    assert -176 < east < -175
    assert 51 < south < north < 55


@pytest.mark.parametrize("left", [179.9, 195.0, -185.0, 0.0])
def test_longitudes_beyond_180_come_back(left: float) -> None:
    found = footprint(placed("EPSG:4326", (1e-4, 0, left, 0, -1e-4, 10), 1000))
    assert found is not None
    for part in getattr(shape(found), "geoms", [shape(found)]):
        assert -180 <= part.bounds[0] < part.bounds[2] <= 180
    assert shape(found).area == pytest.approx(0.01)


def test_around_a_pole_the_box_is_all_around() -> None:
    found = footprint(placed("EPSG:3031", (10_000, 0, -1e6, 0, -10_000, 1e6), 200))
    assert found is not None
    assert found["type"] == "Polygon"
    assert bounds(found)[:3] == (-180, -90, 180)


@pytest.mark.parametrize("left", [0.0, 170.0, -190.0])
def test_all_around_the_earth_it_is_one_valid_polygon(left: float) -> None:
    found = footprint(placed("EPSG:4326", (1.2, 0, left, 0, -0.5, 85)))
    assert found is not None
    assert found["type"] == "Polygon"
    assert shape(found).is_valid
    assert shape(found).area == pytest.approx(360 * 150)
    assert bounds(found) == (-180, -65, 180, 85)


def test_a_pole_in_the_centre_puts_a_corner_on_the_antimeridian() -> None:
    """45 degrees west is down in this CRS: the upper left corner is at 180 degrees."""
    crs, transform = "EPSG:3413", (1000, 0, -150_000, 0, -1000, 150_000)
    found = footprint(placed(crs, transform))
    assert found is not None
    assert shape(found).is_valid
    assert bounds(found)[2:] == (180, 90)
    area = abs(sum(Geod(ellps="WGS84").geometry_area_perimeter(p)[0] for p in parts(shape(found))))
    assert area == pytest.approx(true_area(crs, transform), rel=0.002)


def test_a_side_may_cross_the_antimeridian_twice() -> None:
    """The meridian is a curve in UTM, of which the left side is a chord."""
    chord = (1000, 260, 154_000, 0, 4.43e6 / 300, 0)
    found = footprint(placed("EPSG:32601", chord))
    assert found is not None
    west = [part.bounds[0] for part in shape(found).geoms if part.bounds[2] == 180]
    assert len(west) == 2
    assert bounds(found)[0] == min(west) < max(west)
    assert shape(found).is_valid


def test_control_points_place_a_raster() -> None:
    corners = [(0, 0, 8.0, 47.0), (0, 300, 8.3, 47.0), (300, 0, 8.0, 46.7), (300, 300, 8.3, 46.7)]
    gcps = tuple(GroundControlPoint(row=r, col=c, x=x, y=y, z=0) for r, c, x, y in corners)
    found = footprint(placed("EPSG:4326", None, gcps=gcps))
    assert found is not None
    assert bounds(found) == pytest.approx((8.0, 46.7, 8.3, 47.0))


def test_no_place_no_footprint() -> None:
    assert footprint(placed(None, (1, 0, 0, 0, -1, 0))) is None
    assert footprint(placed("EPSG:4326", None)) is None
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    assert footprint(placed(local, (1, 0, 0, 0, -1, 0))) is None


@pytest.mark.parametrize(
    ("crs", "code"), [("EPSG:32637", "EPSG:32637"), ("ESRI:54009", "ESRI:54009"), (None, None)]
)
def test_code_of_a_crs(crs: str | None, code: str | None) -> None:
    assert crs_code(placed(crs, None)) == code
