"""Labelled windows of kept workspaces, held in memory so that a setting costs only its CRF.

    |<- largest halo ->|ccccccccccccc|<- largest halo ->|    the window in memory
             |<- halo->|ccccccccccccc|<-halo ->|             the part that a setting refines

c is the core, whose pixels are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segtasks.config.legend import ClassEntry
from segtasks.config.tuning_job import LabelledWorkspace, TuneJob
from segtasks.errors import SourceError
from segtasks.evaluation.metrics import IGNORE
from segtasks.evaluation.pair import PROBABILITIES, check_probabilities
from segtasks.raster.grid import Grid, Window
from segtasks.raster.stretch import Stretch
from segtasks.storage import workspace
from segtasks.storage.label_reader import Labels, open_labels
from segtasks.storage.workspace_contents import Contents

Ids = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledWindow:
    """The pixels of a core and its surroundings.

    Attributes:
        core: the pixels that are counted.
        window: the pixels in the arrays, h x w.
        image: raw values (C, h, w).
        valid: which pixels have data (h, w).
        probabilities: (K, h, w) float16.
        labels: class ids (h, w), ``IGNORE`` where there is no label or no data.
        colours: the stretch of raw values to the CRF's 0..255.
    """

    core: Window
    window: Window
    image: NDArray[Any]
    valid: NDArray[np.bool_]
    probabilities: NDArray[np.float16]
    labels: Ids
    colours: Stretch

    @property
    def inner(self) -> tuple[slice, slice]:
        """The index of the core in the arrays."""
        return self.core.within(self.window)

    def cropped(self, halo_px: int) -> Self:
        """Crop the window to the core and at most ``halo_px`` around it."""
        window = self.core.grow(halo_px).intersect(self.window)
        index = (..., *window.within(self.window))
        return replace(
            self,
            window=window,
            image=self.image[index],
            valid=self.valid[index],
            probabilities=self.probabilities[index],
            labels=self.labels[index],
        )


@dataclass(frozen=True)
class OpenWorkspace:
    """A workspace and its labels on the same grid."""

    url: str
    contents: Contents
    labels: Labels
    ignore: int

    def cores(self, side_px: int) -> list[Window]:
        """Return all cores of this side in Morton order, so that neighbours are close in it."""
        raster = self.contents.raster
        grid = Grid(raster.height, raster.width, side_px)
        return [grid.core(t) for t in sorted(grid.tiles(), key=lambda t: _morton(t.row, t.col))]

    def is_labelled(self, core: Window) -> bool:
        """Return whether a pixel of the core has data and a label."""
        return bool((self._truth(core, self._read("valid", core)) != IGNORE).any())

    def read(self, core: Window, halo_px: int) -> LabelledWindow:
        """Read a core and its halo.

        Raises:
            SourceError: labels cannot be read, or the probabilities are incomplete.
        """
        raster = self.contents.raster
        whole = Window(0, 0, raster.height, raster.width)
        window = core.grow(halo_px).intersect(whole)
        valid, probabilities = self._read("valid", window), self._read(PROBABILITIES, window)
        if not probabilities[:, valid].any(axis=0).all():
            raise SourceError(
                f"{self.url}: has pixels without probabilities near row {core.row}, column "
                f"{core.col}; repeat the command segtasks run to finish them"
            )
        return LabelledWindow(
            core=core,
            window=window,
            image=self._read("image", window),
            valid=valid,
            probabilities=probabilities,
            labels=self._truth(window, valid),
            colours=self.contents.colours,
        )

    def _read(self, name: str, window: Window) -> NDArray[Any]:
        return workspace.read(self.url, name, window)

    def _truth(self, window: Window, valid: NDArray[np.bool_]) -> Ids:
        found = self.labels.read(window)
        return np.where(valid & (found != self.ignore), found, np.uint8(IGNORE))


@dataclass(frozen=True)
class Place:
    """A core in a workspace."""

    source: OpenWorkspace
    core: Window

    def is_labelled(self) -> bool:
        """See `OpenWorkspace.is_labelled`."""
        return self.source.is_labelled(self.core)

    def read(self, halo_px: int) -> LabelledWindow:
        """See `OpenWorkspace.read`."""
        return self.source.read(self.core, halo_px)


def open_workspaces(job: TuneJob) -> tuple[list[OpenWorkspace], Sequence[ClassEntry]]:
    """Open the workspaces of a job, and return them with their common legend.

    Raises:
        WorkspaceError: there is no workspace, or it has no description of its contents.
        SourceError: it has no probabilities or other classes; labels are missing or do not fit.
        JobError: the legend is not sufficient for labels of this kind.
    """
    contents_of = [Contents.read(pair.workspace) for pair in job.pairs]
    legend = job.legend or contents_of[0].legend
    pairs = zip(job.pairs, contents_of, strict=True)
    return [_opened(pair, contents, legend, job) for pair, contents in pairs], legend


def _opened(
    pair: LabelledWorkspace, contents: Contents, legend: Sequence[ClassEntry], job: TuneJob
) -> OpenWorkspace:
    names, expected = ([each.name for each in entries] for entries in (contents.legend, legend))
    if len(names) != len(expected) or (not job.legend and names != expected):
        raise SourceError(
            f"{pair.workspace}: its {len(names)} classes are {', '.join(names)}, the legend has "
            f"{len(expected)}: {', '.join(expected)}; tune models of other classes one by one"
        )
    raster = contents.raster
    check_probabilities(pair.workspace, (len(legend), raster.height, raster.width))
    labels = open_labels(pair.labels, raster, legend, job.labels, ignore=job.ignore)
    return OpenWorkspace(pair.workspace, contents, labels, job.ignore)


def _morton(row: int, col: int) -> int:
    """Return the Morton code: the interleaved bits of row and column (Morton 1966)."""
    bits = max(row, col).bit_length()
    return sum(
        (row >> bit & 1) << (2 * bit + 1) | (col >> bit & 1) << (2 * bit) for bit in range(bits)
    )
