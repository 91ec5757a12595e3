"""Seams: whether labels change more often across a border of tiles than near it.

        ----------------  reference line, some px away
        ================  the border: pairs of pixels across it
        ----------------  reference line, some px away

A pair is two pixels with data, one on each side of a line. It differs when its labels differ.
Objects end at borders no more often than near them, so the excess of differing pairs across
borders over those across reference lines was made by the borders. Reference lines are 8 to 24 px
away. For a network with strides they are multiples of its total stride away, since its outlines
follow the raster of its coarse maps, and every border is a line of that raster. Samples of 128 px
are drawn at random; where there are few, all are taken. With y_i of n_i pairs differing on sample
i, and c_i of m_i pairs on its reference lines,

    excess = sum y / sum n - sum c / sum m,      its variance N / (N - 1) x sum z_i^2,
    z_i = (y_i - p n_i) / sum n - (c_i - q m_i) / sum m

This is the linearised variance of a difference of ratios (Cochran 1977, Sampling Techniques, 6.3)
with the sample as unit and not the pair, because neighbouring pairs differ together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from segtasks.outputs.report.border_samples import (
    BorderSample,
    Counts,
    ReferenceLines,
    count_differences,
)
from segtasks.raster.grid import Window
from segtasks.storage.cog import ReadMask

LEAST_SAMPLES = 30
"""With fewer there is no interval: a normal one would be too narrow."""
TWO_SIDED_95 = 1.96
CROP_PX = 256

Steps = Mapping[str, int]
"""Distance of a kind's borders from each other, pixels: they lie on multiples of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """What was found on one kind of borders.

    Attributes:
        rate: share of differing pairs across the borders.
        beside: share of differing pairs across their reference lines.
        interval: 95 % interval of ``rate`` - ``beside``; ``None``: there are too few samples.
    """

    kind: str
    step_px: int
    stretches: int
    pairs: int
    rate: float
    beside: float
    interval: tuple[float, float] | None

    @property
    def excess(self) -> float:
        """Share of pairs that differ because of the border."""
        return self.rate - self.beside

    @property
    def is_seen(self) -> bool:
        """Whether the interval shows a seam."""
        return self.interval is not None and self.interval[0] > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The sample with the most differing pairs in excess of its reference lines.

    Attributes:
        crop: the square around it, inside the raster.
    """

    kind: str
    counts: Counts
    crop: Window

    @property
    def place(self) -> float:
        """Where the border lies in the crop, 0..1 from its top or left."""
        first, side = (self.crop.row, self.crop.height)
        if self.counts.stretch.axis == 1:
            first, side = (self.crop.col, self.crop.width)
        return (self.counts.stretch.at - first) / side


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Every kind of borders of the raster, and the worst sample, if there is a seam."""

    borders: tuple[Border, ...]
    worst: Worst | None


def check_seams(raster: Window, steps: Steps, phase_px: int, read: ReadMask) -> Seams:
    """Sample the borders of a mask and compare them with their reference lines.

    Args:
        raster: the window of the raster.
        steps: distance of the borders by kind; all are multiples of ``phase_px``.
        phase_px: total stride of the network.
        read: reads a window of the mask.
    """
    beside = ReferenceLines(phase_px=phase_px, strides=tuple({*steps.values()}))
    found = {
        kind: count_differences(raster, step_px, beside, read) for kind, step_px in steps.items()
    }
    borders = tuple(_border(kind, steps[kind], counts) for kind, counts in found.items() if counts)
    return Seams(borders=borders, worst=_worst(raster, found))


def _worst(raster: Window, found: Mapping[str, list[Counts]]) -> Worst | None:
    every = [(each, kind) for kind, counts in found.items() for each in counts]
    counts, kind = max(every, key=lambda pair: pair[0].excess, default=(None, ""))
    if counts is None or counts.excess <= 0:
        return None
    return Worst(kind=kind, counts=counts, crop=_crop(counts.stretch, raster))


def _crop(stretch: BorderSample, raster: Window) -> Window:
    """Return the square around a sample, moved inside the raster."""
    middle = stretch.start + stretch.length // 2
    row, col = (stretch.at, middle) if stretch.axis == 0 else (middle, stretch.at)
    height, width = min(CROP_PX, raster.height), min(CROP_PX, raster.width)
    return Window(
        min(max(row - height // 2, 0), raster.height - height),
        min(max(col - width // 2, 0), raster.width - width),
        height,
        width,
    )


def _border(kind: str, step_px: int, counts: list[Counts]) -> Border:
    y, n, c, m = np.array(
        [(e.differing, e.pairs, e.differing_beside, e.pairs_beside) for e in counts], float
    ).T
    rate, beside = y.sum() / n.sum(), c.sum() / m.sum()
    residuals = (y - rate * n) / n.sum() - (c - beside * m) / m.sum()
    count, interval = len(counts), None
    if count >= LEAST_SAMPLES:
        half = TWO_SIDED_95 * sqrt(count / (count - 1) * float(residuals @ residuals))
        interval = (float(rate - beside - half), float(rate - beside + half))
    return Border(
        kind=kind,
        step_px=step_px,
        stretches=count,
        pairs=int(n.sum()),
        rate=float(rate),
        beside=float(beside),
        interval=interval,
    )
