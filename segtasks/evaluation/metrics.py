"""How good a mask is, from a confusion matrix that windows add to.

Rows are the labels (truth), columns the mask, both class ids 0 … K-1. Per class, with TP, FP, FN:
IoU = TP / (TP + FP + FN), its mean over classes that occur in either (Everingham et al. 2015);
precision TP / (TP + FP), recall TP / (TP + FN), F1 2 TP / (2 TP + FP + FN); frequency-weighted IoU
is the mean of IoU by the labels' shares (Long et al. 2015, sec. 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segtasks.errors import SourceError
from segtasks.raster.labels import NODATA

IGNORE = NODATA
"""Class id that is no class: nodata in a mask, unknown in labels."""

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion(
    mask: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int, ignore: int = IGNORE
) -> Counts:
    """Count pixels by label and mask class.

    Args:
        mask: class ids, any shape.
        labels: class ids, the same shape.
        classes: K.
        ignore: pixels with this id in either are not counted.

    Returns:
        (K, K), rows labels, columns mask.

    Raises:
        SourceError: an id is neither a class nor ``ignore``.
    """
    known = (mask != ignore) & (labels != ignore)
    truth, guess = labels[known].astype(np.int64), mask[known].astype(np.int64)
    top = max(truth.max(initial=0), guess.max(initial=0))
    if top >= classes:
        raise SourceError(f"class id {top} found; the legend ends at {classes - 1}, complete it")
    counts = np.bincount(truth * classes + guess, minlength=classes * classes)
    return counts.reshape(classes, classes)


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """``part / whole``, NaN where ``whole`` is 0."""
    empty = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    shares: Floats = np.divide(part, whole, out=empty, where=whole > 0)
    return shares


def mean_iou(counts: NDArray[np.number]) -> Floats:
    """Mean IoU of confusion matrices (..., K, K) over the classes that occur; NaN without any."""
    iou = class_iou(counts)
    occurs = ~np.isnan(iou)
    return ratio(np.where(occurs, iou, 0).sum(-1), occurs.sum(-1))


def class_iou(counts: NDArray[np.number]) -> Floats:
    """IoU (..., K) of confusion matrices (..., K, K), NaN for classes that occur in neither."""
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    return ratio(both, counts.sum(-2) + counts.sum(-1) - both)


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix (K, K) says. Per-class figures are (K,), NaN where undefined."""

    counts: Counts

    @property
    def support(self) -> Counts:
        """Labelled pixels per class."""
        support: Counts = self.counts.sum(1)
        return support

    @property
    def class_iou(self) -> Floats:
        """NaN for classes that occur in neither labels nor mask."""
        return class_iou(self.counts)

    @property
    def precision(self) -> Floats:
        """Share of the mask's pixels of a class that are labelled so (user's accuracy)."""
        return ratio(np.diag(self.counts), self.counts.sum(0))

    @property
    def recall(self) -> Floats:
        """Share of the labels' pixels of a class that the mask has (producer's accuracy)."""
        return ratio(np.diag(self.counts), self.counts.sum(1))

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall (Dice), NaN for classes that occur in neither."""
        return ratio(2 * np.diag(self.counts), self.counts.sum(0) + self.counts.sum(1))

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur; NaN when no pixel was counted."""
        return float(mean_iou(self.counts))

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean weighted by the labels' shares; NaN when no pixel was counted."""
        iou = np.nan_to_num(self.class_iou)  # a class that does not occur weighs nothing
        return float(ratio((self.support * iou).sum(), self.counts.sum()))

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels with the right class; NaN when no pixel was counted."""
        return float(ratio(np.trace(self.counts), self.counts.sum()))

    def table(self, names: Sequence[str]) -> dict[str, float | None]:
        """Rounded figures by name, for reports; ``None`` where a class does not occur."""
        rounded = [None if np.isnan(iou) else round(float(iou), 4) for iou in self.class_iou]
        return {
            "mean_iou": round(self.mean_iou, 4),
            "pixel_accuracy": round(self.pixel_accuracy, 4),
            **{f"iou_{name}": iou for name, iou in zip(names, rounded, strict=True)},
        }
