"""Scores of a network over pairs, and of a mask file against a label file, window by window."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from segtasks.grid import Grid, Window
from segtasks.networks.card import Normalisation
from segtasks.storage.aligned import Aligned, align
from segtasks.training.crops import read_normalised
from segtasks.training.labels import class_raster
from segtasks.training.metrics import IGNORE, Counts, Scores, confusion
from segtasks.training.pairs import Pair


def evaluate_rasters(
    mask_url: str, labels_url: str, *, classes: int, ignore: int = IGNORE, window_px: int = 2048
) -> Scores:
    """Score a mask against labels, on the grid of the mask; memory does not depend on their size.

    Args:
        mask_url: class ids, first band.
        labels_url: class ids, first band.
        classes: K.
        ignore: pixels with this id, or without data, in either are not counted.
        window_px: side of the windows read.

    Raises:
        SourceError: missing, not ids, not on one place, or an id beyond the classes.
    """
    mask = class_raster(mask_url)
    pair = align(mask, mask), align(class_raster(labels_url), mask)
    grid = Grid(mask.height, mask.width, window_px)
    total: Counts = np.zeros((classes, classes), np.int64)
    for tile in grid.tiles():
        window = grid.core(tile)
        guess, truth = (_read_classes(raster, window, ignore) for raster in pair)
        total += confusion(guess, truth, classes, ignore)
    return Scores(total)


def _read_classes(
    raster: Aligned, window: Window, ignore: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    classes, valid = raster.read((1,), window)
    return np.where(valid, classes[0], np.uint8(ignore))


def evaluate_network(
    module: nn.Module,
    pairs: Sequence[Pair],
    normalisation: Normalisation,
    *,
    classes: int,
    window_px: int,
) -> Scores:
    """Score a network on windows that partition the pairs; each window is one patch.

    Windows have no halo, so the figure is a little lower than that of a stitched mask.
    """
    device = next(module.parameters()).device
    training = module.training
    module.eval()
    total: Counts = np.zeros((classes, classes), np.int64)
    for pair in pairs:
        for window in pair.windows(window_px):
            image, labels = read_normalised(pair, window, normalisation)
            mask = _classify(module, image.to(device))
            truth = labels.numpy().astype(np.uint8)
            total += confusion(mask, truth, classes, pair.ignore)
    module.train(training)
    return Scores(total)


def _classify(module: nn.Module, image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(C, h, w) -> class ids (h, w)."""
    with torch.inference_mode():
        mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
        mask = module(image[None])[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask
