"""The size of the smallest region that the sieve keeps, in pixels."""

from math import ceil

from segtasks.config.cleanup import Cleanup
from segtasks.errors import JobError
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import pixel_area_m2

MOST_PX = 10**9


def sieve_px(cleanup: Cleanup | None, raster: RasterHeader) -> int:
    """Return the pixels of the smallest region that stays; 0: no sieve.

    An area in m² becomes pixels by the ground area of the middle pixel of the raster.

    Raises:
        JobError: an area is given in m² and the raster is not georeferenced.
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
