"""Masks, labels and stored probabilities to evaluate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from segtasks.raster.grid import Window
from segtasks.storage import workspace
from segtasks.storage.cog import ClassBand
from segtasks.storage.workspace import ArraySpec
from tests.helpers.legends import classes

Ids = np.ndarray[tuple[int, int], np.dtype[np.uint8]]
Write = Callable[..., str]
LEGEND = ClassBand(
    classes=classes((0, "field", "#c8b45a"), (1, "road", "#e6194b"), (2, "roof", "#3cb44b"))
)
PLACE = Affine(1e-5, 0, 36.8, 0, -1e-5, -1.3)


def scene(height: int, width: int, seed: int = 0) -> tuple[Ids, Ids, Ids]:
    """Make a mask, its labels, and a noisier mask: blobs of three classes with holes of 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 3, (height // 8 + 1, width // 8 + 1)).astype(np.uint8)
    labels = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    mask, before = np.roll(labels, 1, 1), np.roll(labels, 2, 0)
    noise = rng.random((2, height, width))
    mask = np.where(noise[0] < 0.05, rng.integers(0, 3, labels.shape), mask).astype(np.uint8)
    before = np.where(noise[1] < 0.2, rng.integers(0, 3, labels.shape), before).astype(np.uint8)
    labels, mask = labels.copy(), mask.copy()
    labels[: height // 4, : width // 4] = 255
    mask[-height // 8 :, :] = before[-height // 8 :, :] = 255
    return mask, labels, before


def write_ids(path: Path, ids: Ids, *, tags: bool = True, **changes: Any) -> str:  # noqa: ANN401
    """Write class ids (h, w) as `segtasks run` does its mask; return the path."""
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255}
    profile |= {"height": ids.shape[0], "width": ids.shape[1]}
    profile |= {"crs": "EPSG:4326", "transform": PLACE} | changes
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(ids, 1)
        dataset.write_colormap(1, LEGEND.colormap)
        dataset.update_tags(**(LEGEND.tags if tags else {}))
    return str(path)


def keep_probabilities(url: str, likely: Ids, seed: int = 0) -> np.ndarray[Any, Any]:
    """Write a workspace with probabilities (3, H, W), which are largest for ``likely``."""
    rng, (height, width) = np.random.default_rng(seed), likely.shape
    spec = ArraySpec(leading=(3,), dtype="float16", shard_px=128, fill=0)
    workspace.create(url, height, width, {"probabilities": spec})
    sure = rng.uniform(0.4, 1, likely.shape)
    held = np.stack([np.where(likely == i, sure, (1 - sure) / 2) for i in range(3)])
    held[:, likely == 255] = 0
    halves = held.astype(np.float16)
    workspace.write(url, "probabilities", Window(0, 0, height, width), halves)
    return halves
