"""Intervals that know that neighbouring pixels are alike: the bootstrap over blocks.

Whole blocks of pixels are drawn with replacement, since errors come in patches: a roof is missed as
one. Each replicate counts each block Poisson(1) times (Hanley and MacGibbon 2006; Chamandy et al.
2012, "Estimating uncertainty for massive data streams"), so that blocks stream past and only
REPLICATES confusion matrices are kept, however many blocks there are.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import Counts, Floats

REPLICATES, SEED = 1000, 2014
LEVEL = (2.5, 97.5)
"""Percentiles that bound a 95 % interval."""
LEAST_BLOCKS = 10
"""With fewer blocks an interval would say more about the blocks than about the mask."""

Weights = NDArray[np.int64]
Interval = tuple[float, float]


class Draws:
    """How often each replicate takes each block, the same for every mask that is judged."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(SEED)
        self.blocks = 0

    def next(self) -> Weights:
        """Weights (REPLICATES,) of the next block with a labelled pixel."""
        self.blocks += 1
        return self._rng.poisson(1.0, REPLICATES)


class Replicates:
    """Confusion matrices (REPLICATES, K, K), rows labels, columns mask."""

    def __init__(self, classes: int) -> None:
        self.counts: Counts = np.zeros((REPLICATES, classes, classes), np.int64)

    def add(self, counts: Counts, weights: Weights) -> None:
        """Add a block (K, K), in each replicate as often as it took it."""
        rows, cols = np.nonzero(counts)
        self.counts[:, rows, cols] += weights[:, None] * counts[rows, cols]


def interval(figures: Floats) -> Interval | None:
    """The 95 % interval of a figure's replicates (n,); ``None`` where one is undefined."""
    if np.isnan(figures).any():
        return None
    low, high = np.percentile(figures, LEVEL)
    return float(low), float(high)


def class_intervals(
    replicates: Replicates, figures_of: Callable[[Counts], Floats]
) -> list[Interval | None]:
    """Intervals of a figure (..., K) of confusion matrices (..., K, K), one per class."""
    return [interval(column) for column in figures_of(replicates.counts).T]
