"""The counts of a block of pixels; the counts of all blocks add up to those of a raster."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.boundary import Boundary, Inner, boundary_counts
from segtasks.evaluation.calibration import Calibration, calibration_sums
from segtasks.evaluation.metrics import IGNORE, Counts, Floats, Scores, confusion
from segtasks.evaluation.pair import Ids, Pixels


@dataclass(frozen=True)
class MaskCounts:
    """Counts of one mask: confusion matrix (K, K), boundary (4, K)."""

    confusion: Counts
    boundary: Counts

    @classmethod
    def of(cls, mask: Ids, labels: Ids, core: Inner, classes: int, tolerance: int) -> Self:
        """Count the pixels of a core; ``mask`` and ``labels`` (h, w) include its halo."""
        return cls(
            confusion(mask[core], labels[core], classes),
            boundary_counts(mask, labels, core, classes, tolerance),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(self.confusion + other.confusion, self.boundary + other.boundary)

    @property
    def scores(self) -> Scores:
        """The metrics of the confusion matrix."""
        return Scores(self.confusion)

    @property
    def outline(self) -> Boundary:
        """The metrics of the boundary."""
        return Boundary(self.boundary)


@dataclass(frozen=True)
class ImageCounts:
    """Counts of a mask, of the mask before the CRF, and of the network's confidence."""

    mask: MaskCounts
    before: MaskCounts | None
    calibration: Floats | None
    mapped: Floats
    """(2, K): pixels and m² of each class in the mask, with or without label; m² may be NaN."""

    @classmethod
    def of(
        cls, pixels: Pixels, areas: Floats | None, core: Inner, classes: int, tolerance: int
    ) -> Self:
        """Count the pixels of a core; ``areas`` (h, w) are those of the core alone, in m²."""
        truth, before = pixels.labels, pixels.before
        return cls(
            MaskCounts.of(pixels.mask, truth, core, classes, tolerance),
            None if before is None else MaskCounts.of(before, truth, core, classes, tolerance),
            _calibration(pixels, core),
            _mapped(pixels.mapped[core], areas, classes),
        )

    def __add__(self, other: Self) -> Self:
        before = self.before and other.before and self.before + other.before
        calibration = None
        if self.calibration is not None and other.calibration is not None:
            calibration = self.calibration + other.calibration
        mask, mapped = self.mask + other.mask, self.mapped + other.mapped
        return type(self)(mask, before, calibration, mapped)

    @property
    def compared(self) -> list[MaskCounts]:
        """The counts of the mask, and of the mask before the CRF if it is known."""
        return [self.mask] if self.before is None else [self.mask, self.before]

    @property
    def labelled_px(self) -> int:
        """The number of pixels with a class in mask and labels."""
        return int(self.mask.confusion.sum())

    @property
    def area_unit(self) -> str:
        """The unit of areas: m2, or px if an image is not georeferenced."""
        return "px" if np.isnan(self.mapped[1]).any() else "m2"

    @property
    def area(self) -> Floats:
        """The area of each class in the mask (K,), in that unit."""
        area: Floats = self.mapped[0 if self.area_unit == "px" else 1]
        return area

    @property
    def confidence(self) -> Calibration | None:
        """The calibration of the network's confidence, if probabilities are known."""
        return None if self.calibration is None else Calibration(self.calibration)


def total(tallies: Iterable[ImageCounts]) -> ImageCounts:
    """Add the counts of one or more blocks or images."""
    return reduce(add, tallies)


def _calibration(pixels: Pixels, core: Inner) -> Floats | None:
    if pixels.confidence is None or pixels.likely is None:
        return None
    likely, truth = pixels.likely[core], pixels.labels[core]
    known = (likely != IGNORE) & (truth != IGNORE)
    return calibration_sums(pixels.confidence[core][known], (likely == truth)[known])


def _mapped(ids: Ids, areas: Floats | None, classes: int) -> Floats:
    """Return the pixels and m² of each class (2, K); m² are NaN without ``areas``."""
    known: NDArray[np.bool_] = ids != IGNORE
    pixels = np.bincount(ids[known], minlength=classes)
    square_metres = np.full(classes, np.nan)
    if areas is not None:
        square_metres = np.bincount(ids[known], areas[known], classes)
    return np.stack([pixels, square_metres]).astype(np.float64)
