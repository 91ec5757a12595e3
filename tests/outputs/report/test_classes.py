"""Areas per class, against the sum of each pixel's own area."""

import numpy as np
import pytest
from pyproj import CRS

from segtasks.config.legend import ClassEntry
from segtasks.outputs.report import class_areas
from segtasks.outputs.report.class_areas import measure_areas
from segtasks.raster.grid import Window
from segtasks.raster.header import Affine, RasterHeader
from segtasks.raster.pixel_area import pixel_areas

LEGEND = [ClassEntry(id=i, name=f"c{i}", color="#123456") for i in range(3)]


def raster(crs: str | None, transform: Affine, side: int) -> RasterHeader:
    wkt = CRS.from_user_input(crs).to_wkt() if crs else None
    plain = {"url": "a.tif", "identity": "", "bands": (1,), "dtype": "uint8"}
    return RasterHeader(height=side, width=side, crs_wkt=wkt, transform=transform, **plain)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("crs", "transform", "tolerance"),
    [
        ("EPSG:32640", (0.3, 0, 330000, 0, -0.3, 2790000), 1e-6),
        ("EPSG:3857", (0.3, 0, 9.5e6, 0, -0.3, 8.2e6), 1e-5),  # 71 degrees north
        ("EPSG:4326", (3e-6, 0, 36.8, 0, -3e-6, -1.3), 1e-6),
        ("EPSG:4326", (0.02, 0, -5, 0, -0.02, 64), 1e-12),  # its rows differ: pixel by pixel
    ],
)
def test_areas_are_the_sums_of_the_pixels_own(
    crs: str, transform: Affine, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_areas, "WINDOW_PX", 256)
    made = raster(crs, transform, 600)
    # All of one class in the north, where pixels are small: the mean would be wrong.
    mask = np.random.default_rng(0).integers(0, 3, (600, 600)).astype(np.uint8)
    mask[:200] = np.where(mask[:200] == 2, 2, 1)
    mask[100:150, 300:] = 255
    found = measure_areas(made, LEGEND, lambda window: mask[window.slices])
    ground = pixel_areas(made)
    assert ground is not None
    each = ground.read(Window(0, 0, 600, 600))
    for entry, area in zip(LEGEND, found.classes, strict=True):
        assert area.m2 == pytest.approx(each[mask == entry.id].sum(), rel=tolerance)
        assert area.pixels == (mask == entry.id).sum()
    assert found.nodata_share == 50 * 300 / 600**2
    assert found.valid_m2 == pytest.approx(each[mask != 255].sum(), rel=tolerance)
    assert sum(area.share for area in found.classes) == pytest.approx(1)


def test_a_raster_that_lies_nowhere_has_pixels_only() -> None:
    mask = np.ones((600, 600), np.uint8)
    found = measure_areas(raster(None, (1, 0, 0, 0, 1, 0), 600), LEGEND, lambda w: mask[w.slices])
    assert [area.m2 for area in found.classes] == [None] * 3
    assert [area.share for area in found.classes] == [0, 1, 0]
    assert found.valid_m2 is None


def test_nothing_but_nodata() -> None:
    mask = np.full((600, 600), 255, np.uint8)
    made = raster("EPSG:32640", (0.3, 0, 330000, 0, -0.3, 2790000), 600)
    found = measure_areas(made, LEGEND, lambda window: mask[window.slices])
    assert (found.nodata_share, found.valid_m2) == (1.0, 0.0)
    assert {area.share for area in found.classes} == {0.0}
