"""Images with their labels, read by windows; what does not fit is refused before work starts."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from segtasks.config.label_sources import Source
from segtasks.config.legend import ClassEntry
from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, SourceError
from segtasks.raster.band_names import band_names_of, names_contradict
from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import raster_reader
from segtasks.storage.label_reader import ClassIds, Labels, open_labels
from segtasks.storage.manifests import find_pairs
from segtasks.storage.raster_reader import Valid
from segtasks.training.resolution import magnification

SCAN_PX = 1024
"""Side of the windows labels are checked by; each reader holds one."""
READERS = 4
"""Threads that check them: GDAL decodes, and waits for a network, outside Python's lock."""
LAST_PX = 256
"""Side of the window at the end of each image that is tried."""

logger = logging.getLogger("segtasks")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Pair:
    """An image and its labels on the image's grid.

    Attributes:
        image: as it lies in its file.
        labels: of its pixels.
        bands: that are read, 1-based.
        ignore: the label of pixels that have none.
        scale: what a network sees the image magnified by.
    """

    image: RasterHeader
    labels: Labels
    bands: tuple[int, ...]
    ignore: int
    scale: Fraction = Fraction(1)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Of the bands that are read."""
        return band_names_of(self.image, self.bands)

    @property
    def pixels_seen(self) -> float:
        """Height x width as a network sees it."""
        return float(self.image.pixels * self.scale**2)

    def side_px(self, seen_px: float) -> int:
        """Pixels of the image that ``seen_px`` of the network are."""
        return max(1, round(seen_px / self.scale))

    def windows(self, side_px: int) -> Iterator[Window]:
        """Windows of ``side_px`` that partition the pair."""
        grid = Grid(self.image.height, self.image.width, side_px)
        return (grid.core(tile) for tile in grid.tiles())

    def read(self, window: Window) -> tuple[NDArray[np.float32], Valid, ClassIds]:
        """Return a window: image (C, h, w), raw; valid (h, w); labels (h, w).

        Labels are ``ignore`` wherever image or labels have no data.
        """
        image, valid = raster_reader.read(self.image, self.bands, window)
        return image.astype(np.float32), valid, self._known(window, valid)

    def read_labels(self, window: Window) -> ClassIds:
        """Return the labels (h, w) that `read` gives, without the image's pixels."""
        return self._known(window, raster_reader.read_valid(self.image, self.bands, window))

    def _known(self, window: Window, valid: Valid) -> ClassIds:
        return np.where(valid, self.labels.read(window), np.uint8(self.ignore))


def open_pairs(sources: Sequence[Source], job: TrainJob) -> list[Pair]:
    """Return the pairs of ``sources``, in order; the end of each image has been read.

    Raises:
        JobError: a glob finds nothing, a band is not there, or the legend does not suffice.
        SourceError: a file is missing or damaged, or labels do not fit their image.
    """
    return list(_side_by_side(lambda names: _open(*names, job), find_pairs(sources)))


def check_alike(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that one network cannot take.

    Raises:
        JobError: images differ in number, order or dtype of bands.
    """
    first = pairs[0]
    for pair in pairs:
        if (len(pair.bands), pair.image.dtype) != (len(first.bands), first.image.dtype):
            raise JobError(
                f"{pair.image.url} has {len(pair.bands)} bands of {pair.image.dtype}, "
                f"{first.image.url} {len(first.bands)} of {first.image.dtype}; "
                "set `bands`, or convert"
            )
        if names_contradict(pair.band_names, first.band_names):
            raise JobError(
                f"{pair.image.url} has its bands as {', '.join(pair.band_names)}, "
                f"{first.image.url} as {', '.join(first.band_names)}; bring them into one order "
                "(gdal_translate -b)"
            )


def _open(image_url: str, labels_url: str, job: TrainJob) -> Pair:
    image = raster_reader.describe(image_url)
    bands = job.bands or image.bands
    if not set(bands) <= set(image.bands):
        raise JobError(f"{image.url} has no bands {bands}; set `bands` to some of {image.bands}")
    labels = open_labels(labels_url, image, job.legend, job.labels, ignore=job.ignore)
    raster_reader.read(image, bands, _last(image))
    scale = magnification(image, job.ground_resolution_m)
    return Pair(image, labels, bands, job.ignore, scale)


def _last(image: RasterHeader) -> Window:
    """Return the window at the end of the file: what an interrupted copy lacks."""
    row, col = max(0, image.height - LAST_PX), max(0, image.width - LAST_PX)
    return Window(row, col, image.height - row, image.width - col)


def class_pixels(pairs: Sequence[Pair], classes: int, split: str = "training") -> NDArray[np.int64]:
    """Count the valid pixels of each class, (K,), over all labels: the check before work starts.

    Raises:
        SourceError: a label is no class, or no pixel of the split is labelled.
    """
    work = ((pair, window) for pair in pairs for window in pair.windows(SCAN_PX))
    total = np.zeros(classes, np.int64)
    for counts in _side_by_side(lambda part: _count(*part, classes), work):
        total += counts
    if not total.any():
        raise SourceError(
            f"no pixel of the {split} pairs ({pairs[0].labels.url} and {len(pairs) - 1} more) is "
            "labelled; are images and labels where the other has data?"
        )
    return total


def absent_classes(pixels: NDArray[np.int64], legend: Sequence[ClassEntry]) -> list[str]:
    """Return the names of classes without a pixel; of ``pixels`` (K,)."""
    return [entry.name for entry in legend if not pixels[entry.id]]


def require_classes(pixels: NDArray[np.int64], legend: Sequence[ClassEntry]) -> None:
    """Refuse a legend with classes that the training pairs do not show; ``pixels`` (K,).

    Raises:
        SourceError: naming them.
    """
    if absent := absent_classes(pixels, legend):
        raise SourceError(
            f"no pixel of the training pairs is of class {', '.join(absent)}; remove it from the "
            "legend or add images that show it"
        )


def warn_of_absent(pixels: NDArray[np.int64], legend: Sequence[ClassEntry]) -> None:
    """Log which classes the validation pairs do not show; ``pixels`` (K,)."""
    for name in absent_classes(pixels, legend):
        logger.warning("no pixel of the validation pairs is of class %s: nothing measures it", name)


def _count(pair: Pair, window: Window, classes: int) -> NDArray[np.int64]:
    counts = np.bincount(pair.read_labels(window).ravel(), minlength=classes)
    return counts[:classes]


def _side_by_side(work: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    """Do ``work`` in threads; results, and the first error, in the order of ``parts``."""
    pool = ThreadPoolExecutor(READERS)
    try:
        yield from pool.map(work, parts)
    finally:
        pool.shutdown(cancel_futures=True)


def band_moments(pairs: Sequence[Pair]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per band over valid pixels spread over all images.

    Raises:
        SourceError: no pixel is valid, or a band is constant.
    """
    sums: NDArray[np.float64] = np.zeros((3, len(pairs[0].bands)))
    for pair in pairs:
        pixels = raster_reader.sample(pair.image, pair.bands).astype(np.float64)
        sums += np.stack([np.full(pixels.shape[1], len(pixels)), pixels.sum(0), (pixels**2).sum(0)])
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    std = np.sqrt(np.maximum(sums[2] / count - mean**2, 0))
    if not std.all():
        band = pairs[0].bands[int(np.argmin(std))]
        raise SourceError(f"{pairs[0].image.url}: band {band} is constant; leave it out of `bands`")
    return tuple(mean.tolist()), tuple(std.tolist())
