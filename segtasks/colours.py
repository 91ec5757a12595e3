"""The light that a band holds, by its name."""

import re

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


def spelt(name: str) -> str:
    """The name as all spell it: letters and digits, and one of `COLOURS` where it means that."""
    letters = re.sub(r"[^a-z0-9]", "", name.casefold())
    return _ALSO.get(letters, letters)
