"""Names of bands, and the part of the spectrum that a name stands for."""

import re
from collections.abc import Sequence

from segtasks.raster.header import RasterHeader

RGB = ("red", "green", "blue")
COLOURS = frozenset({*RGB, "nir", "rededge", "coastal", "yellow", "pan", "swir"})
"""Names as in GDAL's colour interpretation; yellow is a band of WorldView."""
_SYNONYMS = {
    "r": "red",
    "g": "green",
    "b": "blue",
    "infrared": "nir",
    "nearinfrared": "nir",
    "coastalblue": "coastal",
    "coastalaerosol": "coastal",
    "panchromatic": "pan",
}


def canonical_band_name(name: str) -> str:
    """Reduce a name to lower-case letters and digits, and a synonym to its name in `COLOURS`."""
    letters = re.sub(r"[^a-z0-9]", "", name.casefold())
    return _SYNONYMS.get(letters, letters)


def names_contradict(names: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two lists of bands have different colours at the same position."""
    pairs = zip(map(canonical_band_name, names), map(canonical_band_name, others), strict=True)
    return any(a != b and {a, b} <= COLOURS for a, b in pairs)


def band_names_of(raster: RasterHeader, bands: Sequence[int]) -> tuple[str, ...]:
    """Return the names of bands from the file.

    Three bands without names are red, green and blue; other bands without a name are numbered. If
    names occur twice, all bands are numbered.
    """
    names = tuple(raster.name_of(band) for band in bands)
    if not any(names) and len(bands) == len(RGB):
        return RGB
    numbered = tuple(f"band {place}" for place in range(1, len(bands) + 1))
    named = tuple(name or number for name, number in zip(names, numbered, strict=True))
    return named if len(set(named)) == len(named) else numbered
