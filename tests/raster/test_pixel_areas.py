"""Areas of pixels, against pyproj's geodesic area of the raster's outline."""

import numpy as np
import pytest
from pyproj import CRS, Geod, Transformer

from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import Affine, RasterHeader
from segtasks.raster.pixel_area import pixel_areas

H, W = 130, 210


def raster(crs: str | None, transform: Affine | None) -> RasterHeader:
    wkt = CRS.from_user_input(crs).to_wkt() if crs else None
    plain = {"url": "a.tif", "identity": "", "bands": (1,), "dtype": "uint8"}
    return RasterHeader(height=H, width=W, crs_wkt=wkt, transform=transform, **plain)  # type: ignore[arg-type]


def outline_area(header: RasterHeader) -> float:
    """Area in m² inside the geodesics between all pixel corners on the raster's border."""
    cols = [*range(W), *[W] * H, *range(W, 0, -1), *[0] * H]
    rows = [*[0] * W, *range(H), *[H] * W, *range(H, 0, -1)]
    a, b, c, d, e, f = header.transform or (1, 0, 0, 0, 1, 0)
    x, y = (k * np.array(cols) + n * np.array(rows) + m for k, n, m in ((a, b, c), (d, e, f)))
    crs = CRS.from_wkt(header.crs_wkt or "")
    assert crs.geodetic_crs is not None
    assert crs.ellipsoid is not None
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
    geod = Geod(a=crs.ellipsoid.semi_major_metre, b=crs.ellipsoid.semi_minor_metre)
    return abs(geod.polygon_area_perimeter(lon, lat)[0])


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", (1e-5, 0, 36.8, 0, -1e-5, -1.3)),  # degrees, drone pixels
        ("EPSG:4326", (0.05, 0, -5, 0, -0.05, 64)),  # degrees, coarse ones: rows differ by 18 %
        ("EPSG:4326", (0.001, 0, 179.9, 0, -0.001, 10)),  # across the date line
        ("EPSG:3857", (0.0746, 0, 9.5e6, 0, -0.0746, 3.2e6)),  # its metres are short ones
        ("EPSG:32640", (0.3, 0, 330000, 0, -0.3, 2790000)),  # UTM
        ("EPSG:32640", (0.2, 0.2, 330000, 0.2, -0.2, 2790000)),  # UTM, turned by 45°
        ("EPSG:2263", (1.0, 0, 985000, 0, -1.0, 200000)),  # US survey feet
        ("EPSG:3031", (500, 0, -50000, 0, -500, 30000)),  # the south pole is inside
    ],
)
def test_areas_add_up_to_the_outline(crs: str, transform: Affine) -> None:
    header = raster(crs, transform)
    areas = pixel_areas(header)
    assert areas is not None
    total = areas.read(Window(0, 0, H, W)).sum()
    # The outline's geodesics bend away from parallels, by most where pixels are coarse.
    assert total == pytest.approx(outline_area(header), rel=2e-6)


def test_blocks_see_the_areas_of_the_whole() -> None:
    areas = pixel_areas(raster("EPSG:4326", (0.01, 0, 7, 0, -0.01, 46)))
    assert areas is not None
    whole = areas.read(Window(0, 0, H, W))
    grid = Grid(H, W, 64)
    for tile in grid.tiles():
        core = grid.core(tile)
        np.testing.assert_allclose(areas.read(core), whole[core.slices], rtol=1e-9)


def test_a_pixel_at_the_equator_and_one_at_60_degrees() -> None:
    """A hundredth of a degree: 1113.2 m of longitude by 1105.7 m of latitude at the equator."""
    areas = pixel_areas(raster("EPSG:4326", (0.01, 0, 0, 0, -0.01, 0)))
    north = pixel_areas(raster("EPSG:4326", (0.01, 0, 0, 0, -0.01, 60)))
    assert areas is not None
    assert north is not None
    one = Window(0, 0, 1, 1)
    assert areas.read(one)[0, 0] == pytest.approx(1113.19 * 1105.74, rel=1e-4)
    assert north.read(one)[0, 0] == pytest.approx(558.0 * 1114.12, rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (None, (1.0, 0, 0, 0, -1.0, 0)),
        ("EPSG:4326", None),
        ('LOCAL_CS["site",UNIT["metre",1]]', (1.0, 0, 0, 0, -1.0, 0)),
    ],
)
def test_rasters_without_georeference_have_no_areas(
    crs: str | None, transform: Affine | None
) -> None:
    assert pixel_areas(raster(crs, transform)) is None
