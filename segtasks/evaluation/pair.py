"""A mask, its labels, and optionally the mask before the CRF or probabilities, read by windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segtasks.config.evaluation_job import EvaluationJob, MaskPair
from segtasks.config.legend import ClassEntry
from segtasks.errors import SourceError
from segtasks.evaluation.metrics import IGNORE
from segtasks.raster import labels as class_maps
from segtasks.raster.grid import Window
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import PixelAreas, pixel_areas
from segtasks.storage import workspace
from segtasks.storage.align import align
from segtasks.storage.label_reader import IdLabels, Labels, class_raster, open_labels

PROBABILITIES = "probabilities"
Ids = NDArray[np.uint8]


@dataclass(frozen=True)
class Pixels:
    """A window (h, w) of class ids.

    ``mask``, ``labels`` and ``before`` are all ``IGNORE`` at pixels where one of them has no class.
    """

    mask: Ids
    labels: Ids
    before: Ids | None
    confidence: NDArray[np.float32] | None
    """Largest probability, which is that of the class in ``likely``."""
    likely: Ids | None
    mapped: Ids
    """The mask at all pixels, with or without label."""


@dataclass(frozen=True)
class OpenPair:
    """A mask and what it is compared with, opened on the mask's grid."""

    grid: RasterHeader
    """The mask's header."""
    mask: Labels
    labels: Labels
    before: Labels | None
    probabilities: str | None
    """Url of the workspace with the array of probabilities (K, H, W)."""
    classes: int
    ignore: int
    """Value without a class in the labels; in masks it is ``IGNORE``."""
    areas: PixelAreas | None

    @property
    def has_before(self) -> bool:
        """Whether the mask before the CRF is known."""
        return self.before is not None or self.probabilities is not None

    def read(self, window: Window) -> Pixels:
        """Read a window.

        Raises:
            SourceError: it cannot be read, or has an id that is not in the legend.
        """
        mapped, truth = self.mask.read(window), self.labels.read(window)
        truth = np.where(truth != self.ignore, truth, np.uint8(IGNORE))
        confidence, likely = self._likely(window)
        before = likely if self.before is None else self.before.read(window)
        known = np.logical_and.reduce(
            [ids != IGNORE for ids in (mapped, truth, before) if ids is not None]
        )
        mask, truth = (np.where(known, ids, np.uint8(IGNORE)) for ids in (mapped, truth))
        before = None if before is None else np.where(known, before, np.uint8(IGNORE))
        return Pixels(mask, truth, before, confidence, likely, mapped)

    def _likely(self, window: Window) -> tuple[NDArray[np.float32] | None, Ids | None]:
        """Return the largest probability and its class (h, w)."""
        if self.probabilities is None:
            return None, None
        maps = workspace.read(self.probabilities, PROBABILITIES, window).astype(np.float32)
        confidence = maps.max(axis=0)
        # The predict stage writes zeros at pixels without data.
        likely = np.where(confidence > 0, class_maps.argmax_labels(maps), np.uint8(IGNORE))
        return confidence, likely


def open_pair(pair: MaskPair, legend: Sequence[ClassEntry], job: EvaluationJob) -> OpenPair:
    """Open a mask, its labels and the mask before the CRF.

    Raises:
        SourceError: a file is missing, has no class ids or does not match the mask's grid, or the
            probabilities are of other classes.
        JobError: the legend is not sufficient for labels of this kind.
    """
    grid = class_raster(pair.mask)
    shape = (len(legend), grid.height, grid.width)
    if pair.probabilities is not None:
        check_probabilities(pair.probabilities, shape)
    return OpenPair(
        grid,
        _open_mask(pair.mask, grid, shape[0]),
        open_labels(pair.labels, grid, legend, job.labels, ignore=job.ignore),
        _open_mask(pair.before, grid, shape[0]) if pair.before else None,
        pair.probabilities,
        shape[0],
        job.ignore,
        pixel_areas(grid),
    )


def _open_mask(url: str, grid: RasterHeader, classes: int) -> IdLabels:
    """Open a mask, whose values are class ids even if it has a palette."""
    return IdLabels(align(class_raster(url), grid), classes, IGNORE)


def check_probabilities(url: str, shape: tuple[int, int, int]) -> None:
    """Refuse a workspace whose probabilities do not have this shape (K, H, W).

    Raises:
        SourceError: there are none, or they have another shape.
    """
    found = workspace.shape(url, PROBABILITIES)
    if found is None:
        raise SourceError(
            f"{url}: has no probabilities; run with a CRF and --keep-workspace to keep them"
        )
    if found != shape:
        raise SourceError(
            f"{url}: probabilities are {' x '.join(map(str, found))} (classes, rows, columns), the "
            f"mask has {' x '.join(map(str, shape))}; give the workspace of the mask's own run"
        )
