"""Pages: one HTML file each that needs nothing beside it. Here that of an evaluation."""

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATE = "evaluation.html"
NOTHING = "-"


def evaluation_page(figures: Mapping[str, Any], pictures: Mapping[str, bytes], title: str) -> str:
    """HTML of an evaluation's figures (as in evaluation.json) and its PNG pictures by name."""
    pages = environment()
    pages.filters |= {"ratio": _ratio, "range": _range, "amount": amount}
    uris = {name: data_uri(png) for name, png in pictures.items()}
    return pages.get_template(TEMPLATE).render(pictures=uris, title=title, **figures)


def environment() -> Environment:
    """For the templates of this package; names become text and never markup."""
    return Environment(
        loader=PackageLoader("segtasks.outputs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(picture: bytes) -> str:
    """A PNG or WebP, inline."""
    kind = "png" if picture.startswith(b"\x89PNG") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _ratio(value: float | None) -> str:
    """A figure between 0 and 1."""
    return NOTHING if value is None else f"{value:.3f}"


def _range(bounds: tuple[float, float] | None) -> str:
    return NOTHING if bounds is None else f"{bounds[0]:.3f} … {bounds[1]:.3f}"


def amount(value: float | None) -> str:
    """An area or a count: whole, or with as many digits as a small one needs."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - three digits
