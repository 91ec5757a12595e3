"""A mask, its labels and what else is known of the same pixels, read by windows."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segtasks import labels as class_maps
from segtasks.accuracy.areas import PixelAreas, pixel_areas
from segtasks.accuracy.job import MaskPair
from segtasks.errors import SourceError
from segtasks.grid import Window
from segtasks.raster import Raster
from segtasks.storage import rasters, workspace
from segtasks.training.metrics import IGNORE

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
    """What is compared, opened."""

    mask: Raster
    labels: Raster
    before: Raster | None
    probabilities: str | None
    """Workspace with the array of that name, (K, H, W)."""
    classes: int
    ignore: int
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
        mapped, truth = self._ids(self.mask, IGNORE, window), self._labels(window)
        confidence, likely = self._likely(window)
        before = likely if self.before is None else self._ids(self.before, IGNORE, window)
        known = np.logical_and.reduce(
            [ids != IGNORE for ids in (mapped, truth, before) if ids is not None]
        )
        mask, truth = (np.where(known, ids, np.uint8(IGNORE)) for ids in (mapped, truth))
        before = None if before is None else np.where(known, before, np.uint8(IGNORE))
        return Pixels(mask, truth, before, confidence, likely, mapped)

    def _labels(self, window: Window) -> Ids:
        return self._ids(self.labels, self.ignore, window)

    def _ids(self, raster: Raster, ignore: int, window: Window) -> Ids:
        ids, valid = rasters.read(raster, (1,), window)
        ids = np.where(valid & (ids[0] != ignore), ids[0], np.uint8(IGNORE))
        strange = ids[(ids >= self.classes) & (ids != IGNORE)]
        if strange.size:
            raise SourceError(
                f"{raster.url}: class id {strange.max()} found at rows {window.row}-"
                f"{window.row_stop}, columns {window.col}-{window.col_stop}; the legend ends at "
                f"{self.classes - 1}, complete it"
            )
        return ids

    def _likely(self, window: Window) -> tuple[NDArray[np.float32] | None, Ids | None]:
        if self.probabilities is None:
            return None, None
        maps = workspace.read(self.probabilities, PROBABILITIES, window).astype(np.float32)
        confidence = maps.max(axis=0)
        # Where there was nothing to see, predict leaves zeros.
        likely = np.where(confidence > 0, class_maps.most_likely(maps), np.uint8(IGNORE))
        return confidence, likely


def open_pair(pair: MaskPair, classes: int, ignore: int) -> OpenPair:
    """Open what is compared.

    Raises:
        SourceError: it is missing, no class raster, of other pixels than the mask, or the
            probabilities are of other classes.
    """
    mask, labels = class_raster(pair.mask), class_raster(pair.labels)
    before = class_raster(pair.before) if pair.before else None
    for other in (labels, before):
        if other is not None:
            check_grid(mask, other)
    if pair.probabilities is not None:
        check_probabilities(pair.probabilities, (classes, mask.height, mask.width))
    return OpenPair(mask, labels, before, pair.probabilities, classes, ignore, pixel_areas(mask))


def class_raster(url: str) -> Raster:
    """Describe a raster of class ids: its first band, not the colours of its palette.

    Raises:
        SourceError: it is missing or its ids are not bytes.
    """
    raster = rasters.describe(url)
    if raster.dtype != "uint8":
        raise SourceError(f"{url}: class ids are {raster.dtype}; convert them to uint8, 0 … 254")
    return replace(raster, palette=None, bands=(1,))


def check_grid(mask: Raster, other: Raster) -> None:
    """Refuse two rasters of different pixels.

    Raises:
        SourceError: naming both sizes, or both places.
    """
    sizes = (mask.height, mask.width), (other.height, other.width)
    if sizes[0] != sizes[1]:
        raise SourceError(
            f"{other.url} is {sizes[1][0]} x {sizes[1][1]} px, {mask.url} "
            f"{sizes[0][0]} x {sizes[0][1]}; resample the labels to the mask's grid"
        )


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
