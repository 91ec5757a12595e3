"""The options that name classes: ``--class`` one by one, ``--legend`` in a file."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from segtasks.config.legend import COLORS, read_legend
from segtasks.errors import JobError

_OPTIONS = (
    click.option(
        "--class",
        "classes",
        multiple=True,
        metavar="NAME[=#rrggbb]",
        help="Name of a class, optionally with its colour; repeat in the order of the class ids.",
    ),
    click.option(
        "--legend",
        "legend_file",
        metavar="FILE",
        help="File with the classes and void colours, instead of --class: YAML, JSON or a colour "
        "table.",
    ),
)


def with_legend(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name classes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def legend_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings ``legend`` and, if a file has void colours, ``labels``.

    Raises:
        JobError: both options are given, or the file is no legend.
    """
    if given["classes"] and given["legend_file"]:
        raise JobError("--class and --legend both name the classes; give one of them")
    if given["legend_file"]:
        classes, void = read_legend(given["legend_file"])
        return {"legend": classes, "labels": {"void_colors": void} if void else {}}
    classes = [_entry(i, text) for i, text in enumerate(given["classes"])]
    return {"legend": classes} if classes else {}


def _entry(class_id: int, text: str) -> dict[str, Any]:
    name, _, color = text.partition("=")
    return {"id": class_id, "name": name, "color": color or COLORS[class_id % len(COLORS)]}
