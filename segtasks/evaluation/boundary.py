"""Boundary F-score: how well a mask's outlines follow those of the labels.

A boundary pixel of class k has class k and, above, below, left or right of it, a known pixel of
another class. Precision of k: the share of the mask's boundary pixels of k with one of the labels'
of k at most ``tolerance`` px away (Euclidean, centre to centre); recall: the same with the roles
changed; F = 2 P R / (P + R). Of Csurka et al. 2013 (BMVC, sec. 3.3: per class, then the mean over
classes) and Perazzi et al. 2016 (DAVIS, sec. 3.1), with two differences: pixels are counted over
all images before the ratios are taken, and void makes no boundary: a pixel without label or mask
belongs to neither, and neither its rim nor the raster's is an outline of anything.

    |<- tolerance + 1 ->|cccccccccc|<- tolerance + 1 ->|     what is read to judge a core (c)
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import IGNORE, Counts, Floats, ratio

PLANES = 8
"""Classes looked at together: one bit each of a byte."""

Ids = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Inner = tuple[slice, slice]


@dataclass(frozen=True)
class Boundary:
    """Counts (4, K): boundary px of the mask, the matched of them; the same of the labels."""

    counts: Counts

    @property
    def precision(self) -> Floats:
        """(K,), NaN where the mask has no boundary of a class."""
        return ratio(self.counts[1], self.counts[0])

    @property
    def recall(self) -> Floats:
        """(K,), NaN where the labels have no boundary of a class."""
        return ratio(self.counts[3], self.counts[2])

    @property
    def class_f(self) -> Floats:
        """(K,), 0 where only one of the two has a boundary of a class, NaN where neither."""
        precision, recall = np.nan_to_num(self.precision), np.nan_to_num(self.recall)
        harmonic = np.nan_to_num(ratio(2 * precision * recall, precision + recall))
        return np.where(self.counts[0] + self.counts[2] > 0, harmonic, np.nan)

    @property
    def mean_f(self) -> float:
        """Mean over the classes with a boundary in either; NaN without any."""
        occurs = ~np.isnan(self.class_f)
        return float(ratio(self.class_f[occurs].sum(), occurs.sum()))


def halo_px(tolerance: int) -> int:
    """Pixels around a core that its boundary counts depend on."""
    return tolerance + 1


def boundary_counts(mask: Ids, labels: Ids, core: Inner, classes: int, tolerance: int) -> Counts:
    """Count the boundary pixels of a core.

    Args:
        mask: class ids (h, w) of the core and its halo; ``IGNORE`` wherever ``labels`` has it.
        labels: class ids (h, w), ``IGNORE`` wherever ``mask`` has it.
        core: where in (h, w) pixels are counted.
        classes: K.
        tolerance: in px, at least 0.

    Returns:
        (4, K), as in `Boundary`; those of cores that partition a raster add up to the raster's.
    """
    guess, truth = outlines(mask), outlines(labels)
    matched = (
        matches(mask, guess, (labels, truth), classes, tolerance),
        matches(labels, truth, (mask, guess), classes, tolerance),
    )
    parts = [(mask, guess), (mask, matched[0]), (labels, truth), (labels, matched[1])]
    return np.stack([np.bincount(ids[core][at[core]], minlength=classes) for ids, at in parts])


def outlines(ids: Ids) -> Bools:
    """Where (h, w) a pixel is a boundary pixel of its class."""
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
    """The pixels of ``at`` near a pixel of ``other`` (ids, where) of the same class."""
    found = np.zeros(ids.shape, bool)
    for first in range(0, classes, PLANES):
        bit_of = np.zeros(IGNORE + 1, np.uint8)
        group = slice(first, min(first + PLANES, IGNORE))
        bit_of[group] = 1 << np.arange(group.stop - first)
        near = dilated(bit_of[other[0]] * other[1], tolerance)
        found |= (near & bit_of[ids]) > 0
    return found & at


def dilated(bits: Ids, radius: int) -> Ids:
    """OR of all pixels at most ``radius`` px away, bit by bit, (h, w).

    A disk is a stack of runs whose half-widths grow towards its middle row.
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
