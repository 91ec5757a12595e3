"""How large a network's pixels are on the ground: by how much each image is magnified for it."""

from collections.abc import Sequence
from fractions import Fraction
from statistics import median

from segtasks.errors import JobError
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import pixel_side_m

AS_IT_IS = 0.02
"""Resampling for less than this would only blur."""
LEAST, GREATEST = Fraction(1, 4), Fraction(4)
"""The scales of `segtasks.config.inference`: what is learnt must be found again."""
ALIKE = 1.5
FINEST = 20


def magnification(image: RasterHeader, ground_resolution_m: float | None) -> Fraction:
    """Return what an image is scaled by to have pixels of ``ground_resolution_m``.

    1 where either is not known, or they are within 2 %.

    Raises:
        JobError: it is not within 1/4 ... 4.
    """
    found = pixel_side_m(image)
    if ground_resolution_m is None or found is None:
        return Fraction(1)
    scale = Fraction(found / ground_resolution_m).limit_denominator(FINEST)
    if not LEAST <= scale <= GREATEST:
        raise JobError(
            f"{image.url}: a pixel is {found:.3g} m, {float(scale):.3g} times ground_resolution_m "
            f"({ground_resolution_m:g}); it must be 0.25 to 4 times: resample it, or choose another"
        )
    return Fraction(1) if abs(scale - 1) <= AS_IT_IS else scale


def ground_resolution_m(asked: float | None, images: Sequence[RasterHeader]) -> float | None:
    """Return the pixels' side a network has learnt from: as ``asked``, or the images' own.

    ``None`` where no image knows its own or they are more than 1.5 times apart.
    """
    if asked is not None:
        return asked
    sides = [side for side in map(pixel_side_m, images) if side is not None]
    return median(sides) if sides and max(sides) <= ALIKE * min(sides) else None
