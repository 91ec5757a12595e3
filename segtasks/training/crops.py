"""Random crops of the training pairs with random flips, rotations and colours, from one seed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from segtasks.config.train_job import Augmentation, TrainJob
from segtasks.networks.card import Normalisation
from segtasks.raster.grid import Window
from segtasks.training.distributed import Ranks
from segtasks.training.image_pairs import Pair
from segtasks.training.prefetch import prefetch

SAMPLES, SAMPLE_PX = 2, 768
"""Number and side of the tiles on which the halos of a finished model are measured."""

PREFETCHED = 2
"""Batches that are read ahead, so that the network does not wait for them."""

Crop = tuple[Tensor, Tensor]
"""Image (C, h, w), normalised and 0 where invalid; labels (h, w), int64."""


@dataclass(frozen=True)
class Cropper:
    """Makes batches of crops from pairs, which are drawn in proportion to their rescaled area.

    A crop depends only on (seed, iteration, its number in the batch). Therefore nothing has to be
    replayed to resume, and processes draw their crops independently of each other.
    """

    pairs: Sequence[Pair]
    normalisation: Normalisation
    job: TrainJob
    crop_px: int
    batch: int
    ranks: Ranks

    def batches(self, iterations: Iterable[int]) -> AbstractContextManager[Iterator[Crop]]:
        """Read ahead this process's part of each batch, (N, C, h, w) and (N, h, w)."""
        return prefetch(self.part, iterations, PREFETCHED)

    def part(self, iteration: int) -> Crop:
        """Return this process's part of the batch of an iteration."""
        count = self.batch // self.ranks.size
        numbers = range(self.ranks.rank * count, (self.ranks.rank + 1) * count)
        images, labels = zip(*(self.crop(iteration, number) for number in numbers), strict=True)
        return torch.stack(images), torch.stack(labels)

    def crop(self, iteration: int, number: int) -> Crop:
        """Return one crop of a batch."""
        rng = np.random.default_rng([self.job.seed, iteration, number])
        area = np.array([pair.pixels_seen for pair in self.pairs])
        pair = self.pairs[int(rng.choice(len(area), p=area / area.sum()))]
        least, greatest = self.job.augmentation.scale
        side = pair.side_px(self.crop_px / rng.uniform(least, greatest))
        image, labels = read_normalised(pair, _window(pair, side, rng), self.normalisation)
        crop = _resized(_padded((image, labels), side, pair.ignore), self.crop_px)
        return jitter_colours(
            flip_or_rotate(crop, self.job.augmentation, rng), self.job.augmentation, rng
        )


def read_normalised(pair: Pair, window: Window, normalisation: Normalisation) -> Crop:
    """Read a window as (raw - mean) / std per band, and 0 (the mean colour) where invalid."""
    image, valid, labels = pair.read(window)
    mean = np.array(normalisation.mean, np.float32)[:, None, None]
    std = np.array(normalisation.std, np.float32)[:, None, None]
    image = np.where(valid, (image - mean) / std, np.float32(0))
    return torch.from_numpy(image), torch.from_numpy(labels).long()


def sample_tiles(pairs: Sequence[Pair], normalisation: Normalisation) -> Tensor:
    """Read normalised, rescaled tiles (N, C, h, w) of one size, from the first pairs."""
    chosen = pairs[:SAMPLES]
    size = min([SAMPLE_PX, *(int(_least_side(pair) * pair.scale) for pair in chosen)])
    tiles = []
    for pair in chosen:
        side = min(pair.side_px(size), _least_side(pair))
        row, col = (pair.image.height - side) // 2, (pair.image.width - side) // 2
        crop = read_normalised(pair, Window(row, col, side, side), normalisation)
        tiles.append(_resized(crop, size)[0])
    return torch.stack(tiles)


def _least_side(pair: Pair) -> int:
    return min(pair.image.height, pair.image.width)


def _window(pair: Pair, side: int, rng: np.random.Generator) -> Window:
    """Draw a window of ``side`` in the pair, or a smaller one if the pair is smaller."""
    height, width = min(side, pair.image.height), min(side, pair.image.width)
    row = int(rng.integers(pair.image.height - height + 1))
    col = int(rng.integers(pair.image.width - width + 1))
    return Window(row, col, height, width)


def _padded(crop: Crop, side: int, ignore: int) -> Crop:
    """Pad the crop to side x side pixels or more, at the bottom and right, with ignored pixels."""
    image, labels = crop
    border = [0, side - labels.shape[1], 0, side - labels.shape[0]]
    return functional.pad(image, border), functional.pad(labels, border, value=ignore)


def _resized(crop: Crop, side: int) -> Crop:
    """Resize the crop to side x side pixels: bilinear for the image, nearest for labels."""
    image, labels = crop
    if image.shape[-1] == side:
        return crop
    size = (side, side)
    smooth = functional.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]
    nearest = functional.interpolate(labels[None, None].float(), size=size, mode="nearest-exact")
    return smooth, nearest[0, 0].long()


def flip_or_rotate(crop: Crop, augmentation: Augmentation, rng: np.random.Generator) -> Crop:
    """Apply one of the eight flips and quarter turns (the group D4) to image and labels."""
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    if not augmentation.turns:
        return crop
    image, labels = (torch.rot90(part, turns, (-2, -1)) for part in crop)
    return (image.flip(-1), labels.flip(-1)) if flip else (image, labels)


def jitter_colours(crop: Crop, ways: Augmentation, rng: np.random.Generator) -> Crop:
    """Change contrast (a factor) and brightness and colour (offsets, in normalised units)."""
    image, labels = crop
    contrast = 1 + rng.uniform(-ways.contrast, ways.contrast)
    brightness = 2 * rng.uniform(-ways.brightness, ways.brightness)
    bands = 2 * rng.uniform(-ways.colour, ways.colour, image.shape[0])
    shift = torch.from_numpy(brightness + bands).float()[:, None, None]
    return image * contrast + shift, labels
