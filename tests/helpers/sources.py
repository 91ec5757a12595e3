"""Rasters with holes of nodata for the tests: part of a shared photograph, and a drawn scene."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window

from segtasks.training.synthetic import scene_window
from tests.helpers.paths import SHARED

PHOTOGRAPH = SHARED / "data" / "fair_oam" / "kampala_a.tif"


@dataclass(frozen=True)
class Source:
    """A raster and what is in it: image (3, H, W), valid (H, W)."""

    path: Path
    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]


def drawn(path: Path, height: int, width: int) -> Source:
    """A procedural scene, in which 0 is nodata."""
    image = scene_window(3, 0, 0, height, width)[0].clip(1)
    image[:, 40:90, 100:300] = 0
    place = {"crs": "EPSG:32637", "transform": from_origin(5e5, 3e6, 0.3, 0.3)}
    return write(path, image, nodata=0, **place)


def photograph(path: Path, row: int, col: int, height: int, width: int) -> Source:
    """Part of a drone's mosaic with its alpha band; skips the test if it is absent."""
    if not PHOTOGRAPH.exists():
        pytest.skip(f"shared imagery not found: {PHOTOGRAPH} (set SEGTASKS_SHARED)")
    window = Window(col, row, width, height)
    with rasterio.open(PHOTOGRAPH) as whole:
        pixels = whole.read(window=window)
        place = {"crs": whole.crs, "transform": whole.window_transform(window)}
    return write(path, pixels, alpha="yes", **place)


def write(path: Path, pixels: NDArray[np.uint8], **profile: Any) -> Source:  # noqa: ANN401 rasterio's own
    """A GeoTIFF of (C, H, W), uint8."""
    bands, height, width = pixels.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", photometric="rgb", **shape, **profile) as made:
        made.write(pixels)
    with rasterio.open(path) as made:
        return Source(path, made.read([1, 2, 3]), made.dataset_mask() > 0)
