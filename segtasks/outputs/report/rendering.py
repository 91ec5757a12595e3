"""The HTML of a report: facts and pictures become one file."""

import re
from collections.abc import Mapping
from math import floor, log10
from typing import Any

from markupsafe import Markup, escape

from segtasks.outputs.html import NOTHING, amount, data_uri, environment
from segtasks.outputs.report.pictures import RAMP
from segtasks.raster.units import HECTARE_M2, KM2_M2

TEMPLATE = "report.html"
SMALL_HA, LARGE_KM2 = 10.0, 10.0
OPTION = re.compile(r"--[a-z-]*[a-z]")
BAR_SHARE = 0.25
"""The scale bar is at most so much of the picture."""


def report_page(facts: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the HTML of a run: the fields of `contents.Facts`, and its pictures by name."""
    pages = environment()
    pages.filters |= {"amount": amount, "percent": percent, "seconds": seconds, "area": area}
    pages.filters["options"] = options
    uris = {name: data_uri(picture) for name, picture in pictures.items()}
    bar = scale_bar(facts["width"], facts["side_m"])
    unit = area_unit(facts["areas"].valid_m2)
    values = {**facts, "pictures": uris, "bar": bar, "unit": unit, "ramp": RAMP}
    return pages.get_template(TEMPLATE).render(values)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share of 1 as per cent; one that rounds to 0 is given as less than 0.1 %."""
    if share is None:
        return NOTHING
    least = 10**-digits
    if 0 < share * 100 < least / 2:
        return f"< {least:g} %"
    return f"{100 * share:.{digits}f} %".replace("-", "\N{MINUS SIGN}")


def seconds(value: float) -> str:
    """Return a duration as text."""
    if value < 600:  # noqa: PLR2004 - ten minutes
        return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"  # noqa: PLR2004 - two digits
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def options(text: str) -> Markup:
    """Mark the command line options in a sentence as code that does not break over lines."""
    return Markup(OPTION.sub(r"<code>\g<0></code>", str(escape(text))))  # noqa: S704 - escaped


def area_unit(total_m2: float | None) -> tuple[str, float] | None:
    """Return a larger unit for areas of this size and its m²; ``None``: m² is large enough."""
    if total_m2 is None or total_m2 < SMALL_HA * HECTARE_M2:
        return None
    return ("km²", KM2_M2) if total_m2 >= LARGE_KM2 * KM2_M2 else ("ha", HECTARE_M2)


def area(m2: float | None, unit: tuple[str, float]) -> str:
    """Return an area in a larger unit, with three digits or more."""
    if m2 is None:
        return NOTHING
    value = m2 / unit[1]
    digits = 0 if value == 0 else min(max(2 - floor(log10(value)), 0), 6)
    return f"{value:,.{digits}f}"


def scale_bar(width_px: int, side_m: float | None) -> tuple[float, str] | None:
    """Return a round length and the share of the picture's width that it takes."""
    if side_m is None:
        return None
    most = BAR_SHARE * width_px * side_m
    power = 10.0 ** floor(log10(most))
    length = max(step * power for step in (1, 2, 5) if step * power <= most)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"  # noqa: PLR2004 - a kilometre
    return length / (width_px * side_m), text
