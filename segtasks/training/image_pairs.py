"""Images with their labels, read by windows, and checks of both before work starts."""

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
"""Side of the windows by which labels are checked; each thread has one in memory."""
READERS = 4
"""Threads that check labels. GDAL decodes, and waits for the network, without holding the GIL."""
LAST_PX = 256
"""Side of the window at the end of each image that is read as a test."""

logger = logging.getLogger("segtasks")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Pair:
    """An image and its labels on the image's grid.

    Attributes:
        image: header of the image.
        labels: labels of its pixels.
        bands: 1-based bands that are read.
        ignore: label value of pixels without a label.
        scale: factor by which the image is rescaled for the network.
    """

    image: RasterHeader
    labels: Labels
    bands: tuple[int, ...]
    ignore: int
    scale: Fraction = Fraction(1)

    @property
    def band_names(self) -> tuple[str, ...]:
        """The names of the bands that are read."""
        return band_names_of(self.image, self.bands)

    @property
    def pixels_seen(self) -> float:
        """The number of pixels after rescaling for the network."""
        return float(self.image.pixels * self.scale**2)

    def side_px(self, seen_px: float) -> int:
        """Convert a length in the network's pixels to pixels of the image."""
        return max(1, round(seen_px / self.scale))

    def windows(self, side_px: int) -> Iterator[Window]:
        """Yield windows of ``side_px`` that partition the pair."""
        grid = Grid(self.image.height, self.image.width, side_px)
        return (grid.core(tile) for tile in grid.tiles())

    def read(self, window: Window) -> tuple[NDArray[np.float32], Valid, ClassIds]:
        """Read a window: image (C, h, w), raw; valid (h, w); labels (h, w).

        Labels are ``ignore`` wherever image or labels have no data.
        """
        image, valid = raster_reader.read(self.image, self.bands, window)
        return image.astype(np.float32), valid, self._labels_where(valid, window)

    def read_labels(self, window: Window) -> ClassIds:
        """Read the labels (h, w) that `read` returns, without the image's pixels."""
        valid = raster_reader.read_valid(self.image, self.bands, window)
        return self._labels_where(valid, window)

    def _labels_where(self, valid: Valid, window: Window) -> ClassIds:
        return np.where(valid, self.labels.read(window), np.uint8(self.ignore))


def open_pairs(sources: Sequence[Source], job: TrainJob) -> list[Pair]:
    """Open the pairs of ``sources`` in order, and read the end of each image as a test.

    Raises:
        JobError: a glob finds nothing, a band is missing, or the legend is not sufficient.
        SourceError: a file is missing or damaged, or labels do not fit their image.
    """
    return list(_in_threads(lambda names: _open(*names, job), find_pairs(sources)))


def check_alike(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that one network cannot be trained on.

    Raises:
        JobError: images differ in number, order or dtype of bands.
    """
    first = pairs[0]
    for pair in pairs:
        if (len(pair.bands), pair.image.dtype) != (len(first.bands), first.image.dtype):
            raise JobError(
                f"{pair.image.url} has {len(pair.bands)} bands of {pair.image.dtype}, "
                f"{first.image.url} {len(first.bands)} of {first.image.dtype}; "
                "set `bands`, or convert one of them"
            )
        if names_contradict(pair.band_names, first.band_names):
            raise JobError(
                f"{pair.image.url} has its bands as {', '.join(pair.band_names)}, "
                f"{first.image.url} as {', '.join(first.band_names)}; write them in the same order "
                "(gdal_translate -b)"
            )


def _open(image_url: str, labels_url: str, job: TrainJob) -> Pair:
    image = raster_reader.describe(image_url)
    bands = job.bands or image.bands
    if not set(bands) <= set(image.bands):
        raise JobError(f"{image.url} has no bands {bands}; set `bands` to some of {image.bands}")
    labels = open_labels(labels_url, image, job.legend, job.labels, ignore=job.ignore)
    # The end of the file is missing in an interrupted copy.
    row, col = max(0, image.height - LAST_PX), max(0, image.width - LAST_PX)
    raster_reader.read(image, bands, Window(row, col, image.height - row, image.width - col))
    scale = magnification(image, job.ground_resolution_m)
    return Pair(image, labels, bands, job.ignore, scale)


def class_pixels(pairs: Sequence[Pair], classes: int, split: str = "training") -> NDArray[np.int64]:
    """Count the valid pixels of each class (K,) over all labels, which also checks all labels.

    Raises:
        SourceError: a label is no class, or no pixel of the split is labelled.
    """

    def count(part: tuple[Pair, Window]) -> NDArray[np.int64]:
        pair, window = part
        return np.bincount(pair.read_labels(window).ravel(), minlength=classes)[:classes]

    total = np.zeros(classes, np.int64)
    parts = ((pair, window) for pair in pairs for window in pair.windows(SCAN_PX))
    for counts in _in_threads(count, parts):
        total += counts
    if not total.any():
        raise SourceError(
            f"no pixel of the {split} pairs ({pairs[0].labels.url} and {len(pairs) - 1} more) is "
            "labelled; check that images and labels have data at the same places"
        )
    return total


def absent_classes(pixels: NDArray[np.int64], legend: Sequence[ClassEntry]) -> list[str]:
    """Return the names of classes without a pixel; ``pixels`` (K,) is the count per class."""
    return [entry.name for entry in legend if not pixels[entry.id]]


def require_classes(pixels: NDArray[np.int64], legend: Sequence[ClassEntry]) -> None:
    """Refuse a legend with classes that do not occur in the training pairs; ``pixels`` is (K,).

    Raises:
        SourceError: a class does not occur; the message names it.
    """
    if absent := absent_classes(pixels, legend):
        raise SourceError(
            f"no pixel of the training pairs is of class {', '.join(absent)}; remove it from the "
            "legend or add images that contain it"
        )


def warn_of_absent(pixels: NDArray[np.int64], legend: Sequence[ClassEntry]) -> None:
    """Log which classes do not occur in the validation pairs; ``pixels`` is (K,)."""
    for name in absent_classes(pixels, legend):
        logger.warning(
            "no pixel of the validation pairs is of class %s: its IoU cannot be measured", name
        )


def _in_threads(work: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    """Do ``work`` in threads, and yield results (or the first error) in the order of ``parts``."""
    pool = ThreadPoolExecutor(READERS)
    try:
        yield from pool.map(work, parts)
    finally:
        pool.shutdown(cancel_futures=True)


def band_moments(pairs: Sequence[Pair]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute mean and standard deviation per band over valid pixels spread over all images.

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
