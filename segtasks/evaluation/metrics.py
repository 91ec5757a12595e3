"""Metrics of a mask from a confusion matrix, which is summed over windows.

Rows are the labels (truth), columns the mask, both class ids 0 … K-1. Per class, with TP, FP, FN:
IoU = TP / (TP + FP + FN), precision = TP / (TP + FP), recall = TP / (TP + FN),
F1 = 2 TP / (2 TP + FP + FN). Mean IoU is the mean over classes that occur in mask or labels
(Everingham et al. 2015). Frequency-weighted IoU is the mean weighted by the classes' proportions in
the labels (Long et al. 2015, sec. 5).
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
        classes: number of classes K.
        ignore: pixels with this id in mask or labels are not counted.

    Returns:
        The confusion matrix (K, K), rows labels, columns mask.

    Raises:
        SourceError: an id is neither a class nor ``ignore``.
    """
    known = (mask != ignore) & (labels != ignore)
    truth, guess = labels[known].astype(np.int64), mask[known].astype(np.int64)
    top = max(truth.max(initial=0), guess.max(initial=0))
    if top >= classes:
        raise SourceError(
            f"class id {top} found; the legend ends at {classes - 1}, add the missing classes"
        )
    counts = np.bincount(truth * classes + guess, minlength=classes * classes)
    return counts.reshape(classes, classes)


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """Return ``part / whole``, NaN where ``whole`` is 0."""
    undefined = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    ratios: Floats = np.divide(part, whole, out=undefined, where=whole > 0)
    return ratios


def mean_iou(counts: NDArray[np.number]) -> Floats:
    """Return the mean IoU of confusion matrices (..., K, K) over the classes that occur."""
    iou = class_iou(counts)
    occurs = ~np.isnan(iou)
    return ratio(np.where(occurs, iou, 0).sum(-1), occurs.sum(-1))


def class_iou(counts: NDArray[np.number]) -> Floats:
    """Return the IoU (..., K) of confusion matrices (..., K, K); NaN if a class does not occur."""
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    return ratio(both, counts.sum(-2) + counts.sum(-1) - both)


@dataclass(frozen=True)
class Scores:
    """The metrics of a confusion matrix (K, K). Those per class are (K,), NaN where undefined."""

    counts: Counts

    @property
    def support(self) -> Counts:
        """The number of labelled pixels per class."""
        support: Counts = self.counts.sum(1)
        return support

    @property
    def class_iou(self) -> Floats:
        """The IoU per class; NaN for classes that occur in neither labels nor mask."""
        return class_iou(self.counts)

    @property
    def precision(self) -> Floats:
        """The proportion of the mask's pixels of a class with that label (user's accuracy)."""
        return ratio(np.diag(self.counts), self.counts.sum(0))

    @property
    def recall(self) -> Floats:
        """The proportion of a class's labelled pixels found by the mask (producer's accuracy)."""
        return ratio(np.diag(self.counts), self.counts.sum(1))

    @property
    def f1(self) -> Floats:
        """The harmonic mean of precision and recall (Dice); NaN for classes in neither."""
        return ratio(2 * np.diag(self.counts), self.counts.sum(0) + self.counts.sum(1))

    @property
    def mean_iou(self) -> float:
        """The mean over the classes that occur; NaN if no pixel was counted."""
        return float(mean_iou(self.counts))

    @property
    def frequency_weighted_iou(self) -> float:
        """The mean weighted by the labelled pixels per class; NaN if no pixel was counted."""
        iou = np.nan_to_num(self.class_iou)  # classes that do not occur have weight 0
        return float(ratio((self.support * iou).sum(), self.counts.sum()))

    @property
    def pixel_accuracy(self) -> float:
        """The proportion of pixels with the right class; NaN if no pixel was counted."""
        return float(ratio(np.trace(self.counts), self.counts.sum()))

    def table(self, names: Sequence[str]) -> dict[str, float | None]:
        """Return rounded metrics by name for reports; ``None`` if a class does not occur."""
        rounded = [None if np.isnan(iou) else round(float(iou), 4) for iou in self.class_iou]
        return {
            "mean_iou": round(self.mean_iou, 4),
            "pixel_accuracy": round(self.pixel_accuracy, 4),
            **{f"iou_{name}": iou for name, iou in zip(names, rounded, strict=True)},
        }
