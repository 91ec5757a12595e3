"""The meaning of pixel values: which raw values the network and the CRF see as which."""

from dataclasses import replace

import numpy as np

from segtasks.config.job import Job
from segtasks.errors import SourceError, redact_url
from segtasks.networks.card import Card
from segtasks.networks.inference.tta import TestTimeAugmentation
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import pixel_side_m
from segtasks.raster.stretch import PICTURE, Stretch
from segtasks.storage import raster_reader

STRETCH_PERCENTILES = (2, 98)
LEAST_SHARE = 0.1
ALIKE = 1.5
"""Ground resolutions up to this factor apart: crops are commonly scaled so much in training."""


def stretch_of(
    job: Job, raster: RasterHeader, card: Card, bands: tuple[int, ...]
) -> Stretch | None:
    """Return the stretch from raw values to those of the model; ``None``: no stretch.

    Raises:
        SourceError: the model was trained on another dtype and the job names no stretch.
    """
    if job.stretch == "auto":
        return replace(_percentiles(raster, bands), gamma=job.gamma or 1.0)
    if job.stretch is not None:
        low, high = job.stretch
        return Stretch((low,), (high,), job.gamma or 1.0)
    if raster.dtype != card.normalisation.dtype:
        raise SourceError(
            f"{job.source}: pixels are {raster.dtype}, the model was trained on "
            f"{card.normalisation.dtype}; give --stretch LOW,HIGH (raw values that become its "
            "0 and full range) or --stretch auto; and --gamma 2.2 if they are proportional to "
            "light, as reflectance is"
        )
    return None


def colours_of(raster: RasterHeader, bands: tuple[int, ...], *, needed: bool) -> Stretch:
    """Return the stretch from raw values to the 8-bit colours of the CRF.

    Values of uint8 are used as they are; all others get one stretch for the whole raster.
    """
    if raster.dtype == "uint8" or not needed:
        return PICTURE
    return _percentiles(raster, bands)


def colour_warnings(raster: RasterHeader, bands: tuple[int, ...], given: object) -> tuple[str, ...]:
    """Warn of a stretch given by hand that is so wide that the CRF hardly sees colours.

    This is what wrong units look like, such as 16 bits given for 12: the colour tolerance of the
    CRF is in 1/255 of the stretch.
    """
    if not isinstance(given, tuple):
        return ()
    found = _percentiles(raster, bands)
    low, high = min(found.low), max(found.high)
    share = (high - low) / (given[1] - given[0])
    if share >= LEAST_SHARE:
        return ()
    warning = (
        f"--stretch {given[0]:g},{given[1]:g}: 96 % of sampled pixels span {100 * share:.1f} % of "
        f"it ({low:g}..{high:g}), so that the CRF hardly tells colours apart; give --stretch auto"
    )
    return (warning,)


def _percentiles(raster: RasterHeader, bands: tuple[int, ...]) -> Stretch:
    """Return a stretch per band: haze brightens blue most, and gains differ by band."""
    pixels = raster_reader.sample(raster, bands)
    if pixels.size == 0:
        raise SourceError(
            f"{raster.url}: no valid pixel in 25 sampled windows; give --stretch LOW,HIGH"
        )
    low, high = np.percentile(pixels.astype(np.float64), STRETCH_PERCENTILES, axis=0)
    return Stretch(tuple(low.tolist()), tuple(np.where(high > low, high, low + 1).tolist()))


def light_advice(job: Job, raster: RasterHeader, card: Card) -> list[str]:
    """Ask for --gamma where values may be proportional to light: the values do not show it."""
    trained_on = card.normalisation.dtype
    if (
        job.stretch is None
        or job.gamma is not None
        or trained_on != "uint8"
        or raster.dtype == trained_on
    ):
        return []
    advice = (
        f"{redact_url(raster.url)}: pixels are {raster.dtype}, the model was trained on pictures; "
        "if they are proportional to light, as reflectance and radiance are, give --gamma 2.2, "
        "else --gamma 1"
    )
    return [advice]


def resolution_advice(raster: RasterHeader, card: Card, tta: TestTimeAugmentation) -> list[str]:
    """Warn where the network sees pixels of another ground size than in training."""
    trained, found = card.ground_resolution_m, pixel_side_m(raster)
    if trained is None or found is None:
        return []
    name = redact_url(raster.url)
    facts = f"{name}: a pixel is {found:.2g} m, the model was trained on {trained:.2g} m"
    apart = min(max(found / trained / s, trained * s / found) for s in map(float, tta.scales))
    if apart > ALIKE:
        remedy = f"resample it to pixels {trained / found:.2g} times as wide, or expect poor labels"
        return [f"{facts}; {remedy}"]
    if len(tta.scales) > 1 or tta.scales[0] == 1:
        return []
    scale = float(tta.scales[0])
    return [f"{facts}: it sees the raster at scale {scale:g}, {scale**2:.3g} forwards per pixel"]
