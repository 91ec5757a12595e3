"""Durations as text."""

from segtasks.raster.units import HOUR, MINUTE


def duration(seconds: float) -> str:
    """``seconds`` as one reads a clock, two figures that matter."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
