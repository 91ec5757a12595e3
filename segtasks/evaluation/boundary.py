"""Boundary F-score: how well the outlines of a mask match those of the labels.

A boundary pixel of class k has class k and a known pixel of another class above, below, left or
right of it. The precision of k is the proportion of the mask's boundary pixels of k that have a
boundary pixel of k in the labels at most ``tolerance`` px away (Euclidean, centre to centre). The
recall is the same with mask and labels exchanged, and F = 2 P R / (P + R). The definition is that
of Csurka et al. 2013 (BMVC, sec. 3.3: per class, then the mean over classes) and Perazzi et al.
2016 (DAVIS, sec. 3.1), with two differences. Pixels are counted over all images before the ratios
are computed. Void makes no boundary: pixels without label or mask are ignored, and the border to
them is no outline, nor is the border of the raster.

    |<- tolerance + 1 ->|cccccccccc|<- tolerance + 1 ->|     pixels read to score a core (c)
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import IGNORE, Counts, Floats, ratio

PLANES = 8
"""Number of classes processed at once, one bit of a byte each."""

Ids = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Inner = tuple[slice, slice]


@dataclass(frozen=True)
class Boundary:
    """Precision, recall and F-score of boundaries.

    Attributes:
        counts: (4, K) pixels: boundary of the mask, matched ones of these, boundary of the labels,
            matched ones of these.
    """

    counts: Counts

    @property
    def precision(self) -> Floats:
        """The precision per class (K,), NaN if the mask has no boundary of a class."""
        return ratio(self.counts[1], self.counts[0])

    @property
    def recall(self) -> Floats:
        """The recall per class (K,), NaN if the labels have no boundary of a class."""
        return ratio(self.counts[3], self.counts[2])

    @property
    def class_f(self) -> Floats:
        """The F-score per class (K,), 0 if only one of the two has a boundary, NaN if neither."""
        precision, recall = np.nan_to_num(self.precision), np.nan_to_num(self.recall)
        harmonic = np.nan_to_num(ratio(2 * precision * recall, precision + recall))
        return np.where(self.counts[0] + self.counts[2] > 0, harmonic, np.nan)

    @property
    def mean_f(self) -> float:
        """The mean over classes with a boundary in either; NaN if there are none."""
        occurs = ~np.isnan(self.class_f)
        return float(ratio(self.class_f[occurs].sum(), occurs.sum()))


def halo_px(tolerance: int) -> int:
    """Return the width of the surroundings on which a core's counts depend, in pixels."""
    return tolerance + 1


def boundary_counts(mask: Ids, labels: Ids, core: Inner, classes: int, tolerance: int) -> Counts:
    """Count the boundary pixels of a core.

    Args:
        mask: class ids (h, w) of the core and its halo, ``IGNORE`` at the same pixels as
            ``labels``.
        labels: class ids (h, w), ``IGNORE`` at the same pixels as ``mask``.
        core: index of the core in (h, w).
        classes: number of classes K.
        tolerance: in pixels, at least 0.

    Returns:
        Counts (4, K) as in `Boundary`. The counts of cores that partition a raster sum to those of
        the raster.
    """
    guess, truth = outlines(mask), outlines(labels)
    matched = (
        matches(mask, guess, (labels, truth), classes, tolerance),
        matches(labels, truth, (mask, guess), classes, tolerance),
    )
    parts = [(mask, guess), (mask, matched[0]), (labels, truth), (labels, matched[1])]
    return np.stack([np.bincount(ids[core][at[core]], minlength=classes) for ids, at in parts])


def outlines(ids: Ids) -> Bools:
    """Return which pixels (h, w) are boundary pixels of their class."""
    found = np.zeros(ids.shape, bool)
    known = ids != IGNORE
    for one, other in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differ = (ids[one] != ids[other]) & known[one] & known[other]
        found[one] |= differ
        found[other] |= differ
    return found


def matches(ids: Ids, at: Bools, other: tuple[Ids, Bools], classes: int, tolerance: int) -> Bools:
    """Return the pixels of ``at`` that are near a pixel of ``other`` of the same class.

    Args:
        ids: class ids (h, w).
        at: the pixels (h, w) to match.
        other: class ids (h, w), and the pixels (h, w) to which the first are matched.
        classes: number of classes.
        tolerance: largest distance in pixels.
    """
    found = np.zeros(ids.shape, bool)
    for first in range(0, classes, PLANES):
        bit_of = np.zeros(IGNORE + 1, np.uint8)
        group = slice(first, min(first + PLANES, IGNORE))
        bit_of[group] = 1 << np.arange(group.stop - first)
        near = dilated(bit_of[other[0]] * other[1], tolerance)
        found |= (near & bit_of[ids]) > 0
    return found & at


def dilated(bits: Ids, radius: int) -> Ids:
    """Return the bitwise OR of all pixels (h, w) at most ``radius`` pixels away.

    A disk is a stack of horizontal runs, whose half-widths grow towards its middle row.
    """
    height, width = bits.shape
    out, padded = np.zeros_like(bits), np.pad(bits, radius)
    run = np.zeros((height + 2 * radius, width), np.uint8)
    half_of = {dy: isqrt(radius**2 - dy**2) for dy in range(-radius, radius + 1)}
    for half in range(radius + 1):
        run |= padded[:, radius - half : radius - half + width]
        run |= padded[:, radius + half : radius + half + width]
        for dy in (dy for dy, widest in half_of.items() if widest == half):
            out |= run[radius + dy : radius + dy + height]
    return out
