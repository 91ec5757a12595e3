"""Images with labels, read by windows; a pair is refused before work starts if it does not fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from segtasks.errors import JobError, SourceError
from segtasks.grid import Grid, Window
from segtasks.raster import Raster
from segtasks.storage import rasters
from segtasks.storage.rasters import Valid
from segtasks.training.job import PairSource, TrainJob

SCAN_PX = 2048
"""Side of the windows labels are checked by."""


@dataclass(frozen=True)
class Pair:
    """An image and its labels, of one size."""

    image: Raster
    labels: Raster
    bands: tuple[int, ...]
    ignore: int

    @property
    def pixels(self) -> int:
        """Height x width."""
        return self.image.pixels

    def windows(self, side_px: int) -> Iterator[Window]:
        """Windows of ``side_px`` that partition the pair."""
        grid = Grid(self.image.height, self.image.width, side_px)
        return (grid.core(tile) for tile in grid.tiles())

    def read(self, window: Window) -> tuple[NDArray[np.float32], Valid, NDArray[np.uint8]]:
        """Return a window: image (C, h, w), raw; valid (h, w); labels (h, w).

        Labels are ``ignore`` wherever image or labels have no data.
        """
        image, valid = rasters.read(self.image, self.bands, window)
        labels, known = rasters.read(self.labels, (1,), window)
        classes = np.where(valid & known, labels[0], np.uint8(self.ignore))
        return image.astype(np.float32), valid, classes


def open_pairs(sources: Sequence[PairSource], job: TrainJob) -> list[Pair]:
    """Return the pairs of ``sources``, in order; globs sorted.

    Raises:
        JobError: a glob finds nothing, or a band is not there.
        SourceError: a file is missing, or labels do not fit their image.
    """
    return [_open(image, labels, job) for image, labels in find_pairs(sources)]


def check_alike(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that one network cannot take.

    Raises:
        JobError: images differ in number of bands or dtype.
    """
    first = pairs[0]
    for pair in pairs:
        if (len(pair.bands), pair.image.dtype) != (len(first.bands), first.image.dtype):
            raise JobError(
                f"{pair.image.url} has {len(pair.bands)} bands of {pair.image.dtype}, "
                f"{first.image.url} {len(first.bands)} of {first.image.dtype}; "
                "set `bands`, or convert"
            )


def find_pairs(sources: Sequence[PairSource]) -> list[tuple[str, str]]:
    """Return (image, labels) names; a glob's own label files are not taken for images.

    Raises:
        JobError: a glob finds nothing.
    """
    found = [pair for source in sources for pair in _expand(source)]
    labels = {name for _, name in found}
    pairs = [pair for pair in found if pair[0] not in labels]
    if not pairs:
        raise JobError(
            f"no images at {', '.join(source.image for source in sources)}; check the glob"
        )
    return pairs


def _expand(source: PairSource) -> list[tuple[str, str]]:
    remote = "://" in source.image
    if remote or not has_magic(source.image):
        return [(source.image, _labels_of(source.image, source.labels))]
    names = sorted(str(path) for path in _glob(Path(source.image)))
    return [(name, _labels_of(name, source.labels)) for name in names]


def _glob(pattern: Path) -> Iterator[Path]:
    """All files a pattern fits; ``Path.glob`` itself takes relative ones only."""
    return Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))


def _labels_of(image: str, template: str) -> str:
    parent, _, name = image.rpartition("/")
    stem = PurePosixPath(name).stem
    return template.replace("{parent}", parent or ".").replace("{stem}", stem)


def _open(image_url: str, labels_url: str, job: TrainJob) -> Pair:
    image, labels = rasters.describe(image_url), class_raster(labels_url)
    check_sizes(image, labels)
    bands = job.bands or image.bands
    if not set(bands) <= set(image.bands):
        raise JobError(f"{image.url} has no bands {bands}; set `bands` to some of {image.bands}")
    return Pair(image, labels, bands, job.ignore)


def class_raster(url: str) -> Raster:
    """Describe a raster of class ids: its first band, not the colours of its palette.

    Raises:
        SourceError: it is missing or its ids are not bytes.
    """
    raster = rasters.describe(url)
    if raster.dtype != "uint8":
        raise SourceError(f"{url}: class ids are {raster.dtype}; convert them to uint8, 0 … 254")
    return replace(raster, palette=None, bands=(1,))


def check_sizes(image: Raster, labels: Raster) -> None:
    """Refuse two rasters of different height or width.

    Raises:
        SourceError: naming both sizes.
    """
    sizes = (image.height, image.width), (labels.height, labels.width)
    if sizes[0] != sizes[1]:
        raise SourceError(
            f"{labels.url} is {sizes[1][0]} x {sizes[1][1]} px, {image.url} "
            f"{sizes[0][0]} x {sizes[0][1]}; resample the labels to the image's grid"
        )


def class_pixels(pairs: Sequence[Pair], classes: int) -> NDArray[np.int64]:
    """Count the valid pixels of each class, (K,), over all labels: the check before work starts.

    Raises:
        SourceError: a label is neither a class nor ignored, or nothing is labelled.
    """
    total = np.zeros(classes, np.int64)
    for pair in pairs:
        for window in pair.windows(SCAN_PX):
            total += _count(pair, window, classes)
    if not total.any():
        raise SourceError(f"{pairs[0].labels.url}: no pixel is labelled; every label is ignored")
    return total


def _count(pair: Pair, window: Window, classes: int) -> NDArray[np.int64]:
    _, _, labels = pair.read(window)
    counts = np.bincount(labels.ravel(), minlength=256)
    counts[pair.ignore] = 0
    strange = np.flatnonzero(counts[classes:]) + classes
    if strange.size:
        raise SourceError(
            f"{pair.labels.url}: label {strange[0]} is not in the legend (0 … {classes - 1}); "
            "add the class, or set `ignore` to it"
        )
    return counts[:classes]


def band_moments(pairs: Sequence[Pair]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per band over valid pixels spread over all images.

    Raises:
        SourceError: no pixel is valid, or a band is constant.
    """
    sums: NDArray[np.float64] = np.zeros((3, len(pairs[0].bands)))
    for pair in pairs:
        pixels = rasters.sample(pair.image, pair.bands).astype(np.float64)
        sums += np.stack([np.full(pixels.shape[1], len(pixels)), pixels.sum(0), (pixels**2).sum(0)])
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    std = np.sqrt(np.maximum(sums[2] / count - mean**2, 0))
    if not std.all():
        band = pairs[0].bands[int(np.argmin(std))]
        raise SourceError(f"{pairs[0].image.url}: band {band} is constant; leave it out of `bands`")
    return tuple(mean.tolist()), tuple(std.tolist())
