"""Which bands of a file the network sees: those named as in the model, else the first."""

from collections import Counter
from collections.abc import Sequence

from segtasks.config.job import Job
from segtasks.errors import SourceError, redact_url
from segtasks.networks.card import Card
from segtasks.raster.band_names import canonical_band_name, names_contradict
from segtasks.raster.header import RasterHeader


def select_bands(job: Job, raster: RasterHeader, card: Card) -> tuple[int, ...]:
    """Return the source bands, 1-based, in the order of the model.

    These are the bands that the job names, else those that the file names as the model does,
    else the first ones.

    Raises:
        SourceError: there are too few or too many bands, one does not exist, or the file names them
            as bands that the model does not have.
    """
    bands = job.bands or _called(raster, card) or raster.bands[: len(card.bands)]
    _check_count(job, raster, card, bands)
    absent = [band for band in bands if band > max(raster.bands)]
    if absent:
        raise SourceError(
            f"{job.source}: has no band {absent[0]}; its colour bands are "
            f"{', '.join(map(str, raster.bands))}"
        )
    if not job.bands and names_contradict(tuple(map(raster.name_of, bands)), card.bands):
        named = ", ".join(f"{band} {raster.name_of(band) or 'unnamed'}" for band in raster.bands)
        raise SourceError(
            f"{job.source}: its bands are {named}, the model needs "
            f"{', '.join(card.bands)}; choose them, e.g. --bands {','.join(map(str, bands))}"
        )
    return tuple(bands)


def band_warnings(job: Job, raster: RasterHeader, card: Card) -> tuple[str, ...]:
    """Warn where a file has more bands than the model and no names that tell which are meant."""
    wanted = len(card.bands)
    if job.bands or len(raster.bands) <= wanted or _called(raster, card):
        return ()
    taken = ", ".join(map(str, raster.bands[:wanted]))
    warning = (
        f"{redact_url(raster.url)}: has {len(raster.bands)} bands, not named as the model's are; "
        f"{taken} are taken for {', '.join(card.bands)}: if they are others, give --bands"
    )
    return (warning,)


def _called(raster: RasterHeader, card: Card) -> tuple[int, ...] | None:
    """Return the bands named as in the model; ``None`` unless each is there exactly once."""
    names = {band: canonical_band_name(raster.name_of(band)) for band in raster.bands}
    often = Counter(names.values())
    by_name = {name: band for band, name in names.items() if name and often[name] == 1}
    found = [by_name.get(canonical_band_name(name)) for name in card.bands]
    known = tuple(band for band in found if band is not None)
    return known if len(known) == len(found) else None


def _check_count(job: Job, raster: RasterHeader, card: Card, bands: Sequence[int]) -> None:
    wanted = len(card.bands)
    if len(bands) == wanted:
        return
    given = f"{len(raster.bands)} colour band(s)" if not job.bands else f"{len(bands)} chosen"
    example = (*raster.bands, *[raster.bands[-1]] * wanted)[:wanted]
    raise SourceError(
        f"{job.source}: {given}, but the model needs {wanted} ({', '.join(card.bands)}); "
        f"choose them, e.g. --bands {','.join(map(str, example))}"
    )
