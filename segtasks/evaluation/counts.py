"""What is counted of a block of pixels; the counts of blocks add up to those of a raster."""

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
        """Count a core; ``mask`` and ``labels`` (h, w) have its halo as well."""
        return cls(
            confusion(mask[core], labels[core], classes),
            boundary_counts(mask, labels, core, classes, tolerance),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(self.confusion + other.confusion, self.boundary + other.boundary)

    @property
    def scores(self) -> Scores:
        """What the confusion matrix says."""
        return Scores(self.confusion)

    @property
    def outline(self) -> Boundary:
        """What the boundary counts say."""
        return Boundary(self.boundary)


@dataclass(frozen=True)
class ImageCounts:
    """Counts of a mask, of what it was before the CRF, and of the network's confidence."""

    mask: MaskCounts
    before: MaskCounts | None
    calibration: Floats | None
    mapped: Floats
    """(2, K): px and m² of each class in the mask, labelled or not; m² NaN where unknown."""

    @classmethod
    def of(
        cls, pixels: Pixels, areas: Floats | None, core: Inner, classes: int, tolerance: int
    ) -> Self:
        """Count a core; ``areas`` (h, w) of its pixels alone, m²."""
        truth, before = pixels.labels, pixels.before
        return cls(
            MaskCounts.of(pixels.mask, truth, core, classes, tolerance),
            None if before is None else MaskCounts.of(before, truth, core, classes, tolerance),
            _calibration(pixels, core),
            _mapped(pixels.mapped[core], areas, classes),
        )

    def __add__(self, other: Self) -> Self:
        before = self.before and other.before and self.before + other.before
        return type(self)(
            self.mask + other.mask,
            before,
            _sum(self.calibration, other.calibration),
            self.mapped + other.mapped,
        )

    @property
    def judged(self) -> list[MaskCounts]:
        """The mask, and what it was before where that is known."""
        return [self.mask] if self.before is None else [self.mask, self.before]

    @property
    def labelled_px(self) -> int:
        """Pixels known to mask and labels."""
        return int(self.mask.confusion.sum())

    @property
    def area_unit(self) -> str:
        """m2, or px when not every image says where on earth it is."""
        return "px" if np.isnan(self.mapped[1]).any() else "m2"

    @property
    def area(self) -> Floats:
        """Area of each class in the mask (K,), in that unit."""
        area: Floats = self.mapped[0 if self.area_unit == "px" else 1]
        return area

    @property
    def confidence(self) -> Calibration | None:
        """How sure the network was, and how often right."""
        return None if self.calibration is None else Calibration(self.calibration)


def total(tallies: Iterable[ImageCounts]) -> ImageCounts:
    """The sum of one or more."""
    return reduce(add, tallies)


def _sum(one: Floats | None, other: Floats | None) -> Floats | None:
    return None if one is None or other is None else one + other


def _calibration(pixels: Pixels, core: Inner) -> Floats | None:
    if pixels.confidence is None or pixels.likely is None:
        return None
    likely, truth = pixels.likely[core], pixels.labels[core]
    known = (likely != IGNORE) & (truth != IGNORE)
    return calibration_sums(pixels.confidence[core][known], (likely == truth)[known])


def _mapped(ids: Ids, areas: Floats | None, classes: int) -> Floats:
    known: NDArray[np.bool_] = ids != IGNORE
    found = ids[known]
    square = None if areas is None else np.bincount(found, areas[known], classes)
    nothing = np.full(classes, np.nan)
    pixels = np.bincount(found, minlength=classes)
    return np.stack([pixels, nothing if square is None else square]).astype(np.float64)
