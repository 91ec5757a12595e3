"""Imagery for the benchmarks, and narrow networks without training that make something of it."""

from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from segtasks.networks import Normalisation, build

Labels = NDArray[np.integer]
BANDS = (1, 2, 3)


def windows(raster: Path, side: int, count: int) -> Tensor:
    """Raw windows (count, 3, side, side), spread evenly over a raster from corner to corner."""
    with rasterio.open(raster) as source:
        rows = np.linspace(0, source.height - side, count).astype(int)
        cols = np.linspace(0, source.width - side, count).astype(int)
        found = [
            source.read(BANDS, window=Window(col, row, side, side))
            for row, col in zip(rows, cols, strict=True)
        ]
    return torch.from_numpy(np.stack(found).astype(np.float32))


def normalised(raw: Tensor, how: Normalisation) -> Tensor:
    """As a model's card wants it."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (how.mean, how.std))
    return (raw - mean) / std


def own_normalisation(raw: Tensor) -> Normalisation:
    """Mean 0 and deviation 1 per band over the windows."""
    mean, std = raw.mean(dim=(0, 2, 3)), raw.std(dim=(0, 2, 3))
    return Normalisation(mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def untrained(name: str, x: Tensor, *, classes: int, width: float) -> nn.Module:
    """A narrow network of random weights; the statistics of its BatchNorms are those of ``x``."""
    torch.manual_seed(0)
    network = build(name, classes=classes, width=width)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
    return network.eval()


def labels_of(network: nn.Module, x: Tensor) -> Labels:
    """(1, C, H, W) -> class ids (H, W)."""
    with torch.inference_mode():
        labels: Labels = network(x)[0].argmax(dim=0).numpy()
    return labels


def edges(labels: Labels) -> NDArray[np.bool_]:
    """Pixels (H, W) whose right or lower neighbour is of another class."""
    found = np.zeros(labels.shape, bool)
    found[:-1] |= labels[1:] != labels[:-1]
    found[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return found


def displacements(found: Labels, expected: Labels) -> NDArray[np.float64]:
    """Distance in px from every edge of ``found`` to the nearest edge of ``expected``."""
    distance: NDArray[np.float64] = distance_transform_edt(~edges(expected))
    return distance[edges(found)]


def boundary_f(found: Labels, expected: Labels, tolerance_px: float) -> float:
    """F1 of edges that have one of the other map within the tolerance (Csurka et al. 2013)."""
    precision = (displacements(found, expected) <= tolerance_px).mean()
    recall = (displacements(expected, found) <= tolerance_px).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-12))
