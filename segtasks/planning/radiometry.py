"""What pixels mean: the raw values that become a network's 0 and full range, their size."""

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
    """What makes raw values the model's; none: as they are.

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
    """Eight-bit colours are what they are; all else is stretched once for the whole mosaic."""
    if raster.dtype == "uint8" or not needed:
        return PICTURE
    return _percentiles(raster, bands)


def colour_warnings(raster: RasterHeader, bands: tuple[int, ...], given: object) -> tuple[str, ...]:
    """A stretch GIVEN by hand so wide that the CRF would hardly see colours: 12 bits taken for 16.

    All errors of unit look so: its colour tolerance is in 255ths of the stretch.
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
    """Of each band: haze brightens blue more than red, and sensors count bands apart."""
    pixels = raster_reader.sample(raster, bands)
    if pixels.size == 0:
        raise SourceError(
            f"{raster.url}: no valid pixel in 25 sampled windows; give --stretch LOW,HIGH"
        )
    low, high = np.percentile(pixels.astype(np.float64), STRETCH_PERCENTILES, axis=0)
    return Stretch(tuple(low.tolist()), tuple(np.where(high > low, high, low + 1).tolist()))


def light_advice(job: Job, raster: RasterHeader, card: Card) -> list[str]:
    """Values alone do not say whether they are a picture's or light's; the job must."""
    learnt = card.normalisation.dtype
    if job.stretch is None or job.gamma is not None or learnt != "uint8" or raster.dtype == learnt:
        return []
    advice = (
        f"{redact_url(raster.url)}: pixels are {raster.dtype}, the model was trained on pictures; "
        "if they are proportional to light, as reflectance and radiance are, give --gamma 2.2, "
        "else --gamma 1"
    )
    return [advice]


def resolution_advice(raster: RasterHeader, card: Card, modes: TestTimeAugmentation) -> list[str]:
    """Say so when the network sees other pixels than the raster's, or than it has learnt from."""
    trained, found = card.ground_resolution_m, pixel_side_m(raster)
    if trained is None or found is None:
        return []
    name = redact_url(raster.url)
    facts = f"{name}: a pixel is {found:.2g} m, the model has learnt from {trained:.2g} m"
    apart = min(max(found / trained / s, trained * s / found) for s in map(float, modes.scales))
    if apart > ALIKE:
        mend = f"resample it to pixels {trained / found:.2g} times as wide, or expect poor labels"
        return [f"{facts}; {mend}"]
    if len(modes.scales) > 1 or modes.scales[0] == 1:
        return []
    scale = float(modes.scales[0])
    return [f"{facts}: it sees the raster at scale {scale:g}, {scale**2:.3g} forwards per pixel"]
