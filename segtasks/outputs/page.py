"""The page of an evaluation: one HTML file that needs nothing beside it."""

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATE = "evaluation.html"
NOTHING = "-"


def evaluation_page(figures: Mapping[str, Any], pictures: Mapping[str, bytes], title: str) -> str:
    """HTML of an evaluation's figures (as in evaluation.json) and its PNG pictures by name."""
    environment = Environment(
        loader=PackageLoader("segtasks.outputs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ratio": _ratio, "range": _range, "amount": _amount}
    uris = {name: _data_uri(png) for name, png in pictures.items()}
    return environment.get_template(TEMPLATE).render(pictures=uris, title=title, **figures)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _ratio(value: float | None) -> str:
    """A figure between 0 and 1."""
    return NOTHING if value is None else f"{value:.3f}"


def _range(bounds: tuple[float, float] | None) -> str:
    return NOTHING if bounds is None else f"{bounds[0]:.3f} … {bounds[1]:.3f}"


def _amount(value: float | None) -> str:
    """An area or a count: whole, or with as many digits as a small one needs."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - three digits
