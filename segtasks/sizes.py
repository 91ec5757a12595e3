"""Sizes on the ground as pixels of a raster: of its middle pixel, which stands for all."""

from math import ceil, sqrt

from segtasks.cleanup import Cleanup
from segtasks.errors import JobError
from segtasks.grid import Window
from segtasks.pixel_areas import pixel_areas
from segtasks.raster import Raster

MOST_PX = 10**9


def pixel_area_m2(raster: Raster) -> float | None:
    """True area of the middle pixel; ``None`` where a raster does not say where it lies."""
    areas = pixel_areas(raster)
    middle = Window(raster.height // 2, raster.width // 2, 1, 1)
    return float(areas.read(middle)[0, 0]) if areas else None


def least_px(cleanup: Cleanup | None, raster: Raster) -> int:
    """Pixels of the smallest piece that stays; 0 where nothing is to be cleaned up.

    Raises:
        JobError: an area is given in m² and the raster does not say where on earth it lies.
    """
    if cleanup is None:
        return 0
    if cleanup.sieve_m2 is None:
        return cleanup.sieve_px or 0
    area = pixel_area_m2(raster)
    if area is None:
        raise JobError(
            f"sieve_m2 {cleanup.sieve_m2:g}: {raster.url} does not say where on earth it lies, so "
            "its pixels have no area; give sieve_px"
        )
    return min(max(1, ceil(cleanup.sieve_m2 / area)), MOST_PX)


def length_px(metres: float, raster: Raster) -> float:
    """A length on the ground in sides of a square pixel; as it is, where pixels have no size."""
    area = pixel_area_m2(raster)
    return metres / sqrt(area) if area else metres
