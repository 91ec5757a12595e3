"""How good a mask is, from a confusion matrix that windows add to.

Everitt's names: rows are the labels (truth), columns the mask, both class ids 0 … K-1.
IoU = TP / (TP + FP + FN), the mean over classes that occur in either (Everingham et al. 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segtasks.errors import SourceError

IGNORE = 255
"""Class id that is no class: nodata in a mask, unknown in labels."""

Counts = NDArray[np.int64]


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


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix (K, K) says."""

    counts: Counts

    @property
    def class_iou(self) -> NDArray[np.float64]:
        """(K,), NaN for classes that occur in neither labels nor mask."""
        both = np.diag(self.counts)
        either = self.counts.sum(0) + self.counts.sum(1) - both
        empty = np.full(both.shape, np.nan)
        iou: NDArray[np.float64] = np.divide(both, either, out=empty, where=either > 0)
        return iou

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur; NaN when no pixel was counted."""
        iou = self.class_iou
        occurs = iou[~np.isnan(iou)]
        return float(occurs.mean()) if occurs.size else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels with the right class; NaN when no pixel was counted."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")

    def table(self, names: Sequence[str]) -> dict[str, float | None]:
        """Rounded figures by name, for reports; ``None`` where a class does not occur."""
        rounded = [None if np.isnan(iou) else round(float(iou), 4) for iou in self.class_iou]
        return {
            "mean_iou": round(self.mean_iou, 4),
            "pixel_accuracy": round(self.pixel_accuracy, 4),
            **{f"iou_{name}": iou for name, iou in zip(names, rounded, strict=True)},
        }
