"""The size of a pixel on the ground, against the geodesic area of its footprint."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from pyproj import CRS, Geod, Transformer
from rasterio import Affine

from segtasks.networks import pretrained
from segtasks.networks.card_file import read_card
from segtasks.networks.inference.tta import TestTimeAugmentation
from segtasks.planning.radiometry import resolution_advice
from segtasks.raster.header import Affine as Transform
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import pixel_side_m

FAR_NORTH: Transform = (0.5, 0, 1_000_000, 0, -0.5, 9_000_000)
PLACES: dict[str, tuple[int, Transform]] = {
    "mercator": (3857, FAR_NORTH),
    "degrees": (4326, (1e-5, 0, 8.0, 0, -2e-5, 47.0)),
    "feet": (2263, (0.5, 0, 980_000, 0, -0.5, 200_000)),
    "rotated": (32618, (3.0, 4.0, 400_000, 4.0, -3.0, 4_500_000)),
}


def placed(epsg: int, transform: Transform) -> RasterHeader:
    return RasterHeader(
        url="a.tif",
        identity="",
        height=600,
        width=800,
        bands=(1, 2, 3),
        dtype="uint8",
        crs_wkt=CRS.from_epsg(epsg).to_wkt(),
        transform=transform,
    )


@pytest.mark.parametrize("name", PLACES)
def test_a_pixel_is_as_large_as_its_footprint(name: str) -> None:
    raster = placed(*PLACES[name])
    place = Affine(*PLACES[name][1])
    cols, rows = zip(*(place @ at for at in ((0, 0), (800, 0), (800, 600), (0, 600))), strict=True)
    degrees = Transformer.from_crs(PLACES[name][0], 4326, always_xy=True)
    lon, lat = degrees.transform(cols, rows)
    area = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])
    assert pixel_side_m(raster) == pytest.approx(math.sqrt(area / (800 * 600)), rel=0.01)


def test_a_raster_without_georeference_has_no_pixel_size() -> None:
    raster = placed(*PLACES["degrees"])
    assert pixel_side_m(replace(raster, crs_wkt=None)) is None
    assert pixel_side_m(replace(raster, transform=None)) is None
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    assert pixel_side_m(replace(raster, crs_wkt=local)) is None


def metres(side: float) -> RasterHeader:
    return placed(32618, (side, 0, 400_000, 0, -side, 4_500_000))


def at(*scales: str) -> TestTimeAugmentation:
    return TestTimeAugmentation(scales=tuple(map(Fraction, scales)))


def test_another_resolution_than_the_models_gives_advice() -> None:
    card = read_card(pretrained.path("demo"))  # 0.3 m
    assert resolution_advice(metres(0.4), card, at("1")) == []
    (advice,) = resolution_advice(metres(3), card, at("4"))
    assert "a pixel is 3 m, the model was trained on 0.3 m" in advice
    assert "0.1 times as wide" in advice
    (advice,) = resolution_advice(metres(1.2), card, at("1"))
    assert "0.25 times as wide" in advice


def test_the_scale_that_matches_the_models_pixels_is_suggested() -> None:
    card = read_card(pretrained.path("demo"))  # 0.3 m
    (advice,) = resolution_advice(metres(1.2), card, at("4"))
    assert advice.endswith("it sees the raster at scale 4, 16 forwards per pixel")
    assert resolution_advice(metres(1.2), card, at("4", "3")) == []
