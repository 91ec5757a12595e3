"""Confidence intervals by a bootstrap over blocks, which allows for correlated neighbours.

Whole blocks of pixels are drawn with replacement because errors are spatially correlated: a roof is
missed as a whole. Each replicate counts each block Poisson(1) times (Hanley and MacGibbon 2006;
Chamandy et al. 2012, "Estimating uncertainty for massive data streams"). Blocks can therefore be
processed one after the other, and only REPLICATES confusion matrices are in memory.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import Counts, Floats

REPLICATES, SEED = 1000, 2014
LEVEL = (2.5, 97.5)
"""Percentiles that bound a 95 % interval."""
LEAST_BLOCKS = 10
"""With fewer blocks, an interval would depend more on the choice of blocks than on the mask."""

Weights = NDArray[np.int64]
Interval = tuple[float, float]


class Draws:
    """Draws how often each replicate counts each block, the same for all masks of an evaluation."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(SEED)
        self.blocks = 0

    def next(self) -> Weights:
        """Draw the weights (REPLICATES,) of the next block with a labelled pixel."""
        self.blocks += 1
        return self._rng.poisson(1.0, REPLICATES)


class Replicates:
    """Confusion matrices (REPLICATES, K, K), rows labels, columns mask."""

    def __init__(self, classes: int) -> None:
        self.counts: Counts = np.zeros((REPLICATES, classes, classes), np.int64)

    def add(self, counts: Counts, weights: Weights) -> None:
        """Add the confusion matrix (K, K) of a block to each replicate, times its weight."""
        rows, cols = np.nonzero(counts)
        self.counts[:, rows, cols] += weights[:, None] * counts[rows, cols]


def interval(figures: Floats) -> Interval | None:
    """Return the 95 % interval of a metric's replicates (n,); ``None`` if one is undefined."""
    if np.isnan(figures).any():
        return None
    low, high = np.percentile(figures, LEVEL)
    return float(low), float(high)


def class_intervals(
    replicates: Replicates, figures_of: Callable[[Counts], Floats]
) -> list[Interval | None]:
    """Return one interval per class.

    Args:
        replicates: the confusion matrices.
        figures_of: computes a metric (..., K) from confusion matrices (..., K, K).
    """
    return [interval(column) for column in figures_of(replicates.counts).T]
