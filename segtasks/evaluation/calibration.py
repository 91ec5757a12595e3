"""Calibration: whether the confidence of a network equals its accuracy.

The expected calibration error is that of Guo et al. 2017 (arXiv:1706.04599, eqs. 2-5). Pixels are
divided by their confidence (the largest probability) into M bins ((m - 1)/M, m/M] of equal width,
and ECE = Σ |B_m| / n · |accuracy(B_m) - confidence(B_m)|.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import Floats, ratio

BINS = 15
EDGES = np.linspace(0, 1, BINS + 1)[1:-1]


@dataclass(frozen=True)
class Calibration:
    """Calibration per bin of confidence.

    Attributes:
        sums: (3, M) number of pixels, sum of their confidences, number of correct pixels.
    """

    sums: Floats

    @property
    def pixels(self) -> NDArray[np.int64]:
        """The number of pixels per bin (M,)."""
        pixels: NDArray[np.int64] = self.sums[0].astype(np.int64)
        return pixels

    @property
    def confidence(self) -> Floats:
        """The mean confidence per bin (M,), NaN in empty bins."""
        return ratio(self.sums[1], self.sums[0])

    @property
    def accuracy(self) -> Floats:
        """The proportion of correct pixels per bin (M,), NaN in empty bins."""
        return ratio(self.sums[2], self.sums[0])

    @property
    def expected_error(self) -> float:
        """The expected calibration error, 0 … 1; NaN if no pixel was counted."""
        return float(ratio(np.abs(self.sums[2] - self.sums[1]).sum(), self.sums[0].sum()))


def calibration_sums(confidence: NDArray[np.float32], is_right: NDArray[np.bool_]) -> Floats:
    """Sum pixels (n,) per bin to (3, M) as in `Calibration`; sums of windows can be added."""
    bins = np.digitize(confidence, EDGES, right=True)
    weights = (None, confidence.astype(np.float64), is_right.astype(np.float64))
    return np.stack([np.bincount(bins, weight, BINS).astype(np.float64) for weight in weights])
