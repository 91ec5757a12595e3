"""A map of where a mask is right and wrong, of limited size for rasters of any size."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import IGNORE
from segtasks.evaluation.pair import Pixels
from segtasks.raster.grid import Window

PICTURE_PX = 1024
"""Longest side of the picture."""
OUTCOMES = ("not compared", "right", "wrong", "corrected", "degraded")
"""Corrected: wrong before the CRF and right after it. Degraded: right before, wrong after."""
NOT_COMPARED, RIGHT, WRONG, CORRECTED, DEGRADED = range(len(OUTCOMES))


class ErrorMap:
    """Counts each outcome (5, h, w) in squares of ``step`` x ``step`` pixels of a raster."""

    def __init__(self, height: int, width: int) -> None:
        self.step = ceil(max(height, width) / PICTURE_PX)
        shape = (len(OUTCOMES), ceil(height / self.step), ceil(width / self.step))
        self.counts: NDArray[np.uint32] = np.zeros(shape, np.uint32)

    def add(self, core: Window, outcomes: NDArray[np.uint8]) -> None:
        """Count the pixels of a core (h, w)."""
        rows = np.arange(core.row, core.row_stop) // self.step
        cols = np.arange(core.col, core.col_stop) // self.step
        height, width = int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1
        square = (rows - rows[0])[:, None] * width + (cols - cols[0])
        index = outcomes.astype(np.int64) * (height * width) + square
        counts = np.bincount(index.ravel(), minlength=len(OUTCOMES) * height * width)
        part = (slice(None), slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
        self.counts[part] += counts.reshape(-1, height, width).astype(np.uint32)


def error_map_of(pixels: Pixels) -> NDArray[np.uint8]:
    """Return the outcome (h, w) of every pixel, as an index of `OUTCOMES`."""
    is_right = pixels.mask == pixels.labels
    outcomes = np.where(is_right, RIGHT, WRONG)
    if pixels.before is not None:
        was_right = pixels.before == pixels.labels
        outcomes[is_right & ~was_right] = CORRECTED
        outcomes[was_right & ~is_right] = DEGRADED
    outcomes[pixels.labels == IGNORE] = NOT_COMPARED
    return outcomes.astype(np.uint8)
