"""Calibration: whether a network is right as often as it is sure.

Expected calibration error of Guo et al. 2017 (arXiv:1706.04599, eqs. 2-5): pixels fall by their
confidence, the largest probability, into M bins ((m - 1)/M, m/M] of equal width;
ECE = Σ |B_m| / n · |accuracy(B_m) - confidence(B_m)|.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import Floats, ratio

BINS = 15
EDGES = np.linspace(0, 1, BINS + 1)[1:-1]


@dataclass(frozen=True)
class Calibration:
    """Sums per bin (3, M): pixels, of their confidences, of the right ones."""

    sums: Floats

    @property
    def pixels(self) -> NDArray[np.int64]:
        """(M,)."""
        pixels: NDArray[np.int64] = self.sums[0].astype(np.int64)
        return pixels

    @property
    def confidence(self) -> Floats:
        """Mean per bin (M,), NaN in empty bins."""
        return ratio(self.sums[1], self.sums[0])

    @property
    def accuracy(self) -> Floats:
        """Share of right pixels per bin (M,), NaN in empty bins."""
        return ratio(self.sums[2], self.sums[0])

    @property
    def expected_error(self) -> float:
        """ECE, 0 … 1; NaN when no pixel was counted."""
        return float(ratio(np.abs(self.sums[2] - self.sums[1]).sum(), self.sums[0].sum()))


def calibration_sums(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> Floats:
    """Sums (3, M) of pixels (n,), as in `Calibration`; those of windows add up."""
    bins = np.digitize(confidence, EDGES, right=True)
    weights = (None, confidence.astype(np.float64), right.astype(np.float64))
    return np.stack([np.bincount(bins, weight, BINS).astype(np.float64) for weight in weights])
