"""Where a mask is right and wrong, small enough to look at whatever the raster's size."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import IGNORE
from segtasks.evaluation.pair import Pixels
from segtasks.raster.grid import Window

PICTURE_PX = 1024
"""Longest side of the picture."""
OUTCOMES = ("not compared", "right", "wrong", "mended", "spoilt")
"""Mended, spoilt: wrong and right before, the other way round now."""
NOT_COMPARED, RIGHT, WRONG, MENDED, SPOILT = range(len(OUTCOMES))


class ErrorMap:
    """Counts each outcome (5, h, w) in squares of ``step`` x ``step`` px of a raster."""

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
    """The outcome (h, w) of every pixel."""
    right = pixels.mask == pixels.labels
    found = np.where(right, RIGHT, WRONG)
    if pixels.before is not None:
        was_right = pixels.before == pixels.labels
        found = np.where(right & ~was_right, MENDED, np.where(was_right & ~right, SPOILT, found))
    return np.where(pixels.labels == IGNORE, NOT_COMPARED, found).astype(np.uint8)
