"""Markdown tables, a line at a time, so that long runs show what they have; sheets of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from numpy.typing import NDArray


def header(*names: str) -> None:
    """The head of a table."""
    row(*names)
    row(*["---"] * len(names))


def row(*cells: object) -> None:
    """A line of a table."""
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def percent(share: float) -> str:
    """0.0123 -> 1.23 %."""
    return f"{100 * share:.2f} %"


class Panel(NamedTuple):
    """A titled picture (H, W, 3), bytes; ``squares`` are half-widths around its middle, px."""

    title: str
    picture: NDArray[np.uint8]
    squares: tuple[float, ...] = ()


def sheet(panels: Sequence[Panel], path: Path, *, columns: int, dpi: int = 110) -> None:
    """Write the panels side by side, PNG or JPEG by the name."""
    rows = -(-len(panels) // columns)
    size = (1.9 * columns, 2.05 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):  # the last row may be short
        _draw(axis, panel)
    figure.savefig(path, dpi=dpi)


def _draw(axis: Any, panel: Panel) -> None:  # noqa: ANN401 matplotlib's axes, typed by none
    """One panel."""
    axis.set_title(panel.title, fontsize=7)
    axis.imshow(panel.picture)
    middle = panel.picture.shape[0] / 2
    for half in panel.squares:
        corner, side = (middle - half, middle - half), 2 * half
        axis.add_patch(Rectangle(corner, side, side, fill=False, color="white", linewidth=0.6))
