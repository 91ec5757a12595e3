"""HTML pages that are one file each; the page of an evaluation."""

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATE = "evaluation.html"
NOTHING = "-"


def evaluation_page(figures: Mapping[str, Any], pictures: Mapping[str, bytes], title: str) -> str:
    """Return the page of an evaluation: its figures (evaluation.json) and PNG pictures by name."""
    pages = environment()
    pages.filters |= {"ratio": _ratio, "range": _range, "amount": amount}
    uris = {name: data_uri(png) for name, png in pictures.items()}
    return pages.get_template(TEMPLATE).render(pictures=uris, title=title, **figures)


def environment() -> Environment:
    """Return the environment of the templates; text is escaped."""
    return Environment(
        loader=PackageLoader("segtasks.outputs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(picture: bytes) -> str:
    """Return a PNG or WebP as a data URI."""
    kind = "png" if picture.startswith(b"\x89PNG") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _ratio(value: float | None) -> str:
    """Return a figure between 0 and 1 as text."""
    return NOTHING if value is None else f"{value:.3f}"


def _range(bounds: tuple[float, float] | None) -> str:
    return NOTHING if bounds is None else f"{bounds[0]:.3f} … {bounds[1]:.3f}"


def amount(value: float | None) -> str:
    """Return an area or a count as text, with decimals only for small ones."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - three digits
