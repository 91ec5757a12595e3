"""Imagery and labels for the scripts beside this one: windows of rasters, edges of masks."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from segtasks.networks import ClassEntry, Normalisation

Labels = NDArray[np.integer]
"""Class ids (H, W), or of several windows (N, H, W)."""
BANDS = (1, 2, 3)


def windows(raster: Path, side: int, count: int, bands: tuple[int, ...] = BANDS) -> Tensor:
    """Raw windows (count, C, side, side), evenly along the raster's diagonal; one: its middle."""
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    with rasterio.open(raster) as source:
        shares = (np.arange(count) + 0.5) / count
        places = [(int(s * (source.width - side)), int(s * (source.height - side))) for s in shares]
        found = [source.read(bands, window=Window(*place, side, side)) for place in places]
    return torch.from_numpy(np.stack(found).astype(np.float32))


def label_windows(raster: Path, side: int, count: int) -> NDArray[np.uint8]:
    """The same windows (count, side, side) of a raster of class ids."""
    return windows(raster, side, count, (1,))[:, 0].numpy().astype(np.uint8)


def normalised(raw: Tensor, how: Normalisation) -> Tensor:
    """As a model's card wants it."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (how.mean, how.std))
    return (raw - mean) / std


def labels_of(network: nn.Module, x: Tensor) -> NDArray[np.uint8]:
    """(N, C, H, W) -> class ids (N, H, W), window by window."""
    with torch.inference_mode():
        found = [network(window[None])[0].argmax(dim=0) for window in x]
    return torch.stack(found).numpy().astype(np.uint8)


def pixels(raw: Tensor) -> NDArray[np.uint8]:
    """Raw bytes (3, H, W) -> a picture (H, W, 3)."""
    return raw.permute(1, 2, 0).numpy().astype(np.uint8)


def coloured(labels: Labels, classes: tuple[ClassEntry, ...]) -> NDArray[np.uint8]:
    """Class ids (H, W) -> a picture (H, W, 3); ids beyond the legend are black."""
    legend = np.zeros((256, 3), np.uint8)
    for known in classes:
        legend[known.id] = list(bytes.fromhex(known.color[1:]))
    return legend[labels]


def edges(labels: Labels) -> NDArray[np.bool_]:
    """Pixels (H, W) whose right or lower neighbour is of another class."""
    found = np.zeros(labels.shape, bool)
    found[:-1] |= labels[1:] != labels[:-1]
    found[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return found


def displacements(found: Labels, expected: Labels) -> NDArray[np.float64]:
    """Distance in px from every edge of ``found`` (H, W) to the nearest edge of ``expected``."""
    distance: NDArray[np.float64] = distance_transform_edt(~edges(expected))
    return distance[edges(found)]
