"""The curves of training: loss, learning rate and mIoU by iteration, as a table and a picture."""

import csv
import io
from collections.abc import Sequence

import numpy as np

HEAD = ("iteration", "loss", "learning_rate", "mean_iou")
Row = tuple[int, float, float, float | None]
"""The columns of `HEAD`; mean IoU only if there was a validation."""
_SMOOTH = 50
"""The loss is also drawn as a running mean over 1 / `_SMOOTH` of the iterations."""
SIZE_INCHES, DPI = (8, 4.5), 120


def table(rows: Sequence[Row]) -> bytes:
    """Return the curves as CSV with a row per iteration."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEAD, *rows])
    return text.getvalue().encode()


def picture(rows: Sequence[Row]) -> bytes:
    """Draw the curves as PNG, with the loss on the left axis and mIoU on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - 0.5 s
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    figure = Figure(SIZE_INCHES, dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left = figure.add_subplot()
    iterations, losses = [row[0] for row in rows], [row[1] for row in rows]
    left.plot(iterations, losses, color="0.8", linewidth=0.8)
    left.plot(iterations, _smoothed(losses), color="tab:blue", label="loss")
    left.set(xlabel="iteration", ylabel="loss")
    right = left.twinx()
    validated = [(row[0], row[3]) for row in rows if row[3] is not None]
    right.plot(*zip(*validated, strict=True), "o-", color="tab:orange", label="mIoU")
    right.set(ylabel="mIoU of validation", ylim=(0, 1))
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    file = io.BytesIO()
    canvas.print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()


def _smoothed(losses: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the running mean, over fewer values at the start."""
    count = max(1, len(losses) // _SMOOTH)
    sums = np.cumsum(np.concatenate([[0.0], losses]))
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(0, ends - count)
    means: np.ndarray[tuple[int], np.dtype[np.float64]]
    means = (sums[ends] - sums[starts]) / (ends - starts)
    return means
