"""Pictures of an evaluation as PNG: confusion matrix, error map and reliability diagram."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

OUTCOME_COLORS = {
    "not compared": "#ffffff",
    "right": "#b8dfc0",
    "wrong": "#c81e1e",
    "corrected": "#2166ac",
    "degraded": "#f19a2b",
}
"""Right and wrong also differ in lightness, for readers with colour blindness."""
DPI = 110
WRITTEN_CLASSES = 24
"""With more classes than this, the cells are too small for numbers."""
DARK_SHARE = 0.55
"""Above this value, the number in a cell is white."""


def confusion_chart(counts: npt.NDArray[np.int64], names: Sequence[str]) -> bytes:
    """Draw a confusion matrix (K, K), rows labels, columns mask, as proportions of each row."""
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    side = 2.5 + 0.62 * min(len(names), WRITTEN_CLASSES)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="mask", ylabel="labels", title="share of each labelled class")
    axes.spines[:].set_visible(False)
    if len(names) <= WRITTEN_CLASSES:
        _write_shares(axes, share)
    figure.colorbar(image, shrink=0.8)
    return _png(figure)


def _write_shares(axes: Axes, share: npt.NDArray[np.float64]) -> None:
    for (row, col), value in np.ndenumerate(share):
        if not np.isnan(value):
            ink = "white" if value > DARK_SHARE else "black"
            axes.text(col, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=9)


def error_map(counts: npt.NDArray[np.uint32], outcomes: Sequence[str], title: str) -> bytes:
    """Draw counts (n, h, w) of n outcomes; the colours of several outcomes are mixed."""
    rgb = [list(bytes.fromhex(OUTCOME_COLORS[name][1:])) for name in outcomes]
    colors = (np.array(rgb) / 255).astype(np.float32)
    share = counts.astype(np.float32) / np.maximum(counts.sum(axis=0), 1, dtype=np.float32)
    picture = np.einsum("nhw,nc->hwc", share, colors)
    height, width = picture.shape[:2]
    scale = 8 / max(height, width)
    figure = Figure(figsize=(max(4.5, width * scale), height * scale + 0.9), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(picture, interpolation="antialiased")
    axes.set(xticks=[], yticks=[], title=title)
    seen: npt.NDArray[np.bool_] = counts.any(axis=(1, 2), keepdims=True).ravel()
    keys = [
        Patch(facecolor=OUTCOME_COLORS[name], edgecolor="#888888", label=name)
        for name, is_seen in zip(outcomes, seen, strict=True)
        if is_seen
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
    return _png(figure)


def reliability_chart(bins: Sequence[Mapping[str, Any]], expected_error: float) -> bytes:
    """Draw accuracy against confidence per bin, and the proportion of pixels per bin."""
    figure = Figure(figsize=(5, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    middle = [(each["above"] + each["up_to"]) / 2 for each in bins]
    width = bins[0]["up_to"] - bins[0]["above"]
    heights = [each["accuracy"] or 0.0 for each in bins]
    upper.bar(middle, heights, width, color="#2f6db5", edgecolor="white", label="accuracy")
    known = [each for each in bins if each["pixels"]]
    confidence, accuracy = ([each[key] for each in known] for key in ("confidence", "accuracy"))
    upper.plot(confidence, accuracy, "o", color="#1b1b1b", markersize=4, label="mean confidence")
    upper.plot([0, 1], [0, 1], "--", color="#888888", label="calibrated")
    upper.set(ylabel="accuracy", ylim=(0, 1), xlim=(0, 1), title=f"ECE {expected_error:.4f}")
    upper.legend(loc="upper left", frameon=False)
    pixels = np.array([each["pixels"] for each in bins])
    lower.bar(middle, pixels / max(pixels.sum(), 1), width, color="#888888", edgecolor="white")
    lower.set(xlabel="confidence (largest probability)", ylabel="share of px")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI)
    return out.getvalue()
