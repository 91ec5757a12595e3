"""A chart of CRF settings: mean IoU against boundary F of each."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segtasks.evaluation.charts import DPI

TRIED, FIXED, BEST = "#9db7d5", "#1b1b1b", "#c81e1e"
Row = Mapping[str, Any]


def settings_chart(rows: Sequence[Row], best: str, title: str) -> bytes:
    """Draw the rows of a tuning as PNG.

    Args:
        rows: with the keys `setting`, `iterations`, `mean_iou` and `boundary_f`, and the latter two
            with the prefix `held_out_`.
        best: name of the setting to highlight.
        title: title of the figure.
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    for each, prefix, what in zip(axes, ("", "held_out_"), ("tuning", "held-out"), strict=True):
        _draw(each, rows, prefix, best)
        each.set(xlabel="mean IoU", ylabel="boundary F", title=f"{what} windows")
    figure.suptitle(title, fontsize=10, wrap=True)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI)
    return out.getvalue()


def _draw(axes: Axes, rows: Sequence[Row], prefix: str, best: str) -> None:
    """Draw a point per row; rows with results on held-out windows have names."""
    for row in rows:
        x, y = row[f"{prefix}mean_iou"], row[f"{prefix}boundary_f"]
        if x is None or y is None:
            continue
        is_named = row["held_out_mean_iou"] is not None
        color = BEST if row["setting"] == best else FIXED if is_named else TRIED
        marker = "s" if row["iterations"] is None else "o"
        axes.plot([x], [y], marker, color=color, markersize=6, zorder=3 if is_named else 2)
        if is_named:
            above: dict[str, Any] = {"xytext": (5, 4), "textcoords": "offset points"}
            axes.annotate(row["setting"], (x, y), color=color, fontsize=8, **above)
    axes.margins(0.15)
    axes.grid(color="#eeeeee")
