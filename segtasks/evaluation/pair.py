"""A mask, its labels and what else is known of the same pixels, read by windows."""

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
    """A window (h, w) of class ids: ``IGNORE`` in all of them where one of them knows nothing."""

    mask: Ids
    labels: Ids
    before: Ids | None
    confidence: NDArray[np.float32] | None
    """Largest probability, of the class in ``likely``."""
    likely: Ids | None
    mapped: Ids
    """The mask as it is, labelled or not."""


@dataclass(frozen=True)
class OpenPair:
    """What is compared, on the mask's grid."""

    grid: RasterHeader
    """The mask's header."""
    mask: Labels
    labels: Labels
    before: Labels | None
    probabilities: str | None
    """Workspace with the array of that name, (K, H, W)."""
    classes: int
    ignore: int
    """In the labels; in masks it is ``IGNORE``."""
    areas: PixelAreas | None

    @property
    def has_before(self) -> bool:
        """Whether there is something to compare the mask with."""
        return self.before is not None or self.probabilities is not None

    def read(self, window: Window) -> Pixels:
        """Read a window.

        Raises:
            SourceError: it cannot be read, or holds an id beyond the classes.
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
        """Largest probability and its class (h, w)."""
        if self.probabilities is None:
            return None, None
        maps = workspace.read(self.probabilities, PROBABILITIES, window).astype(np.float32)
        confidence = maps.max(axis=0)
        # Where there was nothing to see, predict leaves zeros.
        likely = np.where(confidence > 0, class_maps.argmax_labels(maps), np.uint8(IGNORE))
        return confidence, likely


def open_pair(pair: MaskPair, legend: Sequence[ClassEntry], job: EvaluationJob) -> OpenPair:
    """Open what is compared.

    Raises:
        SourceError: it is missing, no classes, not of the mask's place, or the probabilities are
            of other classes.
        JobError: the legend does not suffice for labels of their kind.
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
    """A mask is ids, whatever its palette shows."""
    return IdLabels(align(class_raster(url), grid), classes, IGNORE)


def check_probabilities(url: str, shape: tuple[int, int, int]) -> None:
    """Refuse a workspace whose probabilities are not (K, H, W).

    Raises:
        SourceError: naming both shapes, or that there are none.
    """
    found = workspace.shape(url, PROBABILITIES)
    if found is None:
        raise SourceError(
            f"{url}: holds no probabilities; keep those of a run with a CRF by --keep-workspace"
        )
    if found != shape:
        raise SourceError(
            f"{url}: probabilities are {' x '.join(map(str, found))} (classes, rows, columns), the "
            f"mask has {' x '.join(map(str, shape))}; give the workspace of the mask's own run"
        )
