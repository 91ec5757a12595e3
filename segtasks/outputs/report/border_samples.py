"""Samples of tile borders, drawn at random, and the label changes across and near them."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from segtasks.raster.grid import Window
from segtasks.raster.labels import NODATA
from segtasks.storage.cog import ReadMask

SAMPLE_PX = 128
NEAR_PX, FAR_PX, FAR_STEPS = 8, 24, 2
MOST_STRETCHES, SEED = 1000, 1977


@dataclass(frozen=True, slots=True)
class BorderSample:
    """A part of a border, between the lines ``at`` - 1 and ``at`` of ``axis`` (0: rows).

    It covers ``length`` pixels along the other axis, from ``start`` on.
    """

    axis: int
    at: int
    start: int
    length: int

    def window(self, reach_px: int, raster: Window) -> Window:
        """Return the sample with ``reach_px`` lines on either side, inside the raster."""
        across, along = (self.at - reach_px, 2 * reach_px), (self.start, self.length)
        (row, height), (col, width) = (across, along) if self.axis == 0 else (along, across)
        return Window(row, col, height, width).intersect(raster)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pairs and differing pairs across a sample, and across its reference lines."""

    stretch: BorderSample
    pairs: int
    differing: int
    pairs_beside: int
    differing_beside: int

    @property
    def expected(self) -> float:
        """Differing pairs if the border were like its reference lines."""
        return self.pairs * self.differing_beside / max(self.pairs_beside, 1)

    @property
    def excess(self) -> float:
        """Differing pairs in excess of those expected."""
        return self.differing - self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLines:
    """The lines that a border is compared with.

    Attributes:
        phase_px: stride of the network; lines at multiples of it from the border are like it.
        strides: distances of all kinds of borders; a border itself is no reference line.
    """

    phase_px: int
    strides: tuple[int, ...]

    @property
    def far_px(self) -> int:
        """Distance of the most distant reference line."""
        return max(FAR_PX, FAR_STEPS * self.phase_px)

    def among(self, lines: npt.NDArray[np.int64], at: int) -> npt.NDArray[np.bool_]:
        """Return which of ``lines`` are reference lines of the border ``at``."""
        distance = np.abs(lines - at)
        found: npt.NDArray[np.bool_] = (distance >= NEAR_PX) & (distance <= self.far_px)
        found &= distance % self.phase_px == 0
        for stride in self.strides:
            found &= lines % stride != 0
        return found


def count_differences(
    raster: Window, step_px: int, beside: ReferenceLines, read: ReadMask
) -> list[Counts]:
    """Return the counts of the samples that have a pair across and near the border, in order."""
    rng = np.random.default_rng(SEED)
    total = sum(_lines(raster, axis, step_px) * _pieces(raster, axis) for axis in (0, 1))
    chosen = rng.choice(total, min(total, MOST_STRETCHES), replace=False)
    stretches = (_stretch(raster, step_px, index) for index in sorted(chosen.tolist()))
    found = (_count(stretch, raster, beside, read) for stretch in stretches)
    return [each for each in found if each.pairs and each.pairs_beside]


def _lines(raster: Window, axis: int, step_px: int) -> int:
    """Return the number of borders inside the raster."""
    return (raster.shape[axis] - 1) // step_px


def _pieces(raster: Window, axis: int) -> int:
    """Return the number of samples of a border."""
    return ceil(raster.shape[1 - axis] / SAMPLE_PX)


def _stretch(raster: Window, step_px: int, index: int) -> BorderSample:
    """Return the sample of this number; they are never listed, since there may be millions."""
    of_rows = _lines(raster, 0, step_px) * _pieces(raster, 0)
    axis, rest = (0, index) if index < of_rows else (1, index - of_rows)
    line, piece = divmod(rest, _pieces(raster, axis))
    start, along = piece * SAMPLE_PX, raster.shape[1 - axis]
    return BorderSample(axis, (line + 1) * step_px, start, min(SAMPLE_PX, along - start))


def _count(stretch: BorderSample, raster: Window, beside: ReferenceLines, read: ReadMask) -> Counts:
    window = stretch.window(beside.far_px + 1, raster)
    ids = read(window) if stretch.axis == 0 else read(window).T
    first = window.row if stretch.axis == 0 else window.col
    both = (ids[1:] != NODATA) & (ids[:-1] != NODATA)
    pairs = both.sum(axis=1)
    differing = (both & (ids[1:] != ids[:-1])).sum(axis=1)
    lines = np.arange(len(ids) - 1) + first + 1
    border, near = lines == stretch.at, beside.among(lines, stretch.at)
    return Counts(
        stretch=stretch,
        pairs=int(pairs[border].sum()),
        differing=int(differing[border].sum()),
        pairs_beside=int(pairs[near].sum()),
        differing_beside=int(differing[near].sum()),
    )
