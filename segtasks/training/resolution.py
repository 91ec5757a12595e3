"""The ground resolution of a network, and the factor by which each image is rescaled to it."""

from collections.abc import Sequence
from fractions import Fraction
from statistics import median

from segtasks.errors import JobError
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import pixel_side_m

MIN_CHANGE = 0.02
"""Rescaling by less than this would only blur the image."""
LEAST, GREATEST = Fraction(1, 4), Fraction(4)
"""The range of scales of `segtasks.config.inference`, so that inference can use the same scale."""
MAX_RATIO = 1.5
"""Images whose pixel sizes differ by a larger factor have no common ground resolution."""
MAX_DENOMINATOR = 20


def magnification(image: RasterHeader, ground_resolution_m: float | None) -> Fraction:
    """Return the factor by which an image is rescaled to pixels of ``ground_resolution_m``.

    The factor is 1 if one of the two sizes is unknown, or if they differ by at most 2 %.

    Raises:
        JobError: the factor is not within 1/4 ... 4.
    """
    side_m = pixel_side_m(image)
    if ground_resolution_m is None or side_m is None:
        return Fraction(1)
    scale = Fraction(side_m / ground_resolution_m).limit_denominator(MAX_DENOMINATOR)
    if not LEAST <= scale <= GREATEST:
        raise JobError(
            f"{image.url}: a pixel is {side_m:.3g} m, {float(scale):.3g} times ground_resolution_m "
            f"({ground_resolution_m:g}); it must be 0.25 to 4 times: resample the image, or choose "
            "another resolution"
        )
    return Fraction(1) if abs(scale - 1) <= MIN_CHANGE else scale


def ground_resolution_m(given: float | None, images: Sequence[RasterHeader]) -> float | None:
    """Return the ground resolution of a training: as ``given``, or the median of the images.

    The result is ``None`` if no image is georeferenced or they differ by a factor above 1.5.
    """
    if given is not None:
        return given
    sides = [side for side in map(pixel_side_m, images) if side is not None]
    return median(sides) if sides and max(sides) <= MAX_RATIO * min(sides) else None
