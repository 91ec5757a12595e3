"""Score one CRF setting on one window, with the methods of the refine stage and `evaluate`."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from segtasks.config.tuning_job import Objective
from segtasks.crf import CrfParameters, is_certain, refine
from segtasks.crf.backends.kernel import Float32
from segtasks.evaluation.boundary import Boundary
from segtasks.evaluation.boundary import halo_px as boundary_halo_px
from segtasks.evaluation.counts import MaskCounts
from segtasks.evaluation.crf_tuning.sample_windows import LabelledWindow
from segtasks.evaluation.metrics import IGNORE, Counts, Floats, mean_iou
from segtasks.raster import labels
from segtasks.raster.stretch import MAX_8BIT

Outcome = tuple[MaskCounts, float]
"""Counts of a window, and the CPU time of the CRF in seconds."""


@dataclass(frozen=True)
class Scorer:
    """Refines a window and counts its pixels.

    Attributes:
        backend: the backend of the CRF.
        tolerance_px: the tolerance of the boundary F-score.
    """

    backend: str
    tolerance_px: int

    def halo_px(self, setting: CrfParameters | None) -> int:
        """Return the halo of a core: that of the CRF, or of the boundary if it is larger."""
        least = boundary_halo_px(self.tolerance_px)
        return least if setting is None else max(setting.halo_px(), least)

    def cropped(self, window: LabelledWindow, setting: CrfParameters | None) -> LabelledWindow:
        """Crop a window to what the setting needs."""
        return window.cropped(self.halo_px(setting))

    def __call__(self, window: LabelledWindow, setting: CrfParameters | None) -> Outcome:
        """Refine a window that has been cropped for the setting, and count its core."""
        started = time.process_time()
        mask = labels.argmax_labels(self._marginals(window, setting))
        seconds = time.process_time() - started
        mask = np.where(window.labels == IGNORE, np.uint8(IGNORE), mask)
        classes = len(window.probabilities)
        return (
            MaskCounts.of(mask, window.labels, window.inner, classes, self.tolerance_px),
            seconds if setting else 0.0,
        )

    def _marginals(self, window: LabelledWindow, setting: CrfParameters | None) -> Float32:
        probabilities = window.probabilities.astype(np.float32)
        of_core = probabilities[(..., *window.inner)]
        if setting is None or is_certain(of_core, window.valid[window.inner]):
            return probabilities
        return refine(
            probabilities,
            window.colours(window.image, MAX_8BIT),
            window.valid,
            row=window.window.row,
            col=window.window.col,
            parameters=setting,
            backend=self.backend,
        )


@dataclass(frozen=True)
class Measured:
    """The counts of several windows, and the total CPU time of the CRF."""

    windows: Sequence[MaskCounts]
    seconds: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Self:
        """Collect the outcomes of one or more windows."""
        counts, seconds = zip(*outcomes, strict=True)
        return cls(counts, sum(seconds))

    @property
    def mean_iou(self) -> float:
        """The mean IoU over all pixels together."""
        return float(mean_iou(self.confusions.sum(0)))

    @property
    def boundary_f(self) -> float:
        """The boundary F-score over all pixels together; NaN without any outline."""
        return Boundary(self.boundaries.sum(0)).mean_f

    @property
    def confusions(self) -> Counts:
        """The confusion matrices (windows, K, K), rows labels, columns mask."""
        return np.stack([each.confusion for each in self.windows])

    @property
    def boundaries(self) -> Counts:
        """The boundary counts (windows, 4, K) as in `segtasks.evaluation.boundary.Boundary`."""
        return np.stack([each.boundary for each in self.windows])

    def value(self, objective: Objective) -> float:
        """Return the value of the objective, which is to be maximised."""
        return float(values(self.confusions.sum(0), self.boundaries.sum(0), objective))


def values(confusions: Counts, boundaries: Counts, objective: Objective) -> Floats:
    """Compute the objective from confusion matrices (..., K, K) and boundaries (..., 4, K)."""
    ious = mean_iou(confusions)
    if objective == "mean_iou":
        return ious
    outer, shape = boundaries.shape[:-2], boundaries.shape[-2:]
    means = [Boundary(counts).mean_f for counts in boundaries.reshape(-1, *shape)]
    outlines: Floats = np.nan_to_num(np.array(means)).reshape(outer)
    return outlines if objective == "boundary_f" else ious + outlines
