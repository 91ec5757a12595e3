"""The light that a band holds, by its name."""

import re
from collections.abc import Sequence

from segtasks.raster.header import RasterHeader

RGB = ("red", "green", "blue")
COLOURS = frozenset({*RGB, "nir", "rededge", "coastal", "yellow", "pan", "swir"})
"""As GDAL's colour interpretation spells them; yellow as WorldView has it."""
_ALSO = {
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
    """The name as all spell it: letters and digits, and one of `COLOURS` where it means that."""
    letters = re.sub(r"[^a-z0-9]", "", name.casefold())
    return _ALSO.get(letters, letters)


def names_contradict(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two orders of bands name different colours at one place."""
    pairs = zip(map(canonical_band_name, names), map(canonical_band_name, others), strict=True)
    return any(a != b and {a, b} <= COLOURS for a, b in pairs)


def band_names_of(raster: RasterHeader, bands: Sequence[int]) -> tuple[str, ...]:
    """What the file calls these bands; red, green, blue for three without names, else numbers."""
    names = tuple(raster.name_of(band) for band in bands)
    if not any(names) and len(bands) == len(RGB):
        return RGB
    plain = tuple(f"band {place}" for place in range(1, len(bands) + 1))
    named = tuple(name or number for name, number in zip(names, plain, strict=True))
    return named if len(set(named)) == len(named) else plain
