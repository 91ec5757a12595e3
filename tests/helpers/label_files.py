"""Small label files on disk, and their legend."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import Affine

from segtasks.config.legend import ClassEntry
from segtasks.raster.header import RasterHeader
from segtasks.storage import raster_reader

NAMES = ("ground", "building", "road")
COLORS = ("#102030", "#ff0080", "#00c8ff")
LEGEND = [ClassEntry(id=i, name=NAMES[i], color=COLORS[i]) for i in range(3)]
UTM, PIXEL_M = "EPSG:32637", 0.5
PLACE = Affine(PIXEL_M, 0, 500000, 0, -PIXEL_M, 4000000)
Array = npt.NDArray[Any]


def write_raster(path: Path, bands: Array, **profile: Any) -> str:  # noqa: ANN401 - rasterio's own
    """Write (h, w) or (C, h, w) as a GeoTIFF on ``PLACE``; ``colormap`` sets a palette."""
    image = bands if bands.ndim > 2 else bands[None]
    colormap = profile.pop("colormap", None)
    settings = {
        "driver": "GTiff",
        "count": len(image),
        "height": image.shape[1],
        "width": image.shape[2],
        "dtype": image.dtype,
        "crs": UTM,
        "transform": PLACE,
    }
    with rasterio.open(path, "w", **(settings | profile)) as dataset:
        dataset.write(image)
        if colormap:
            dataset.write_colormap(1, colormap)
    return str(path)


def an_image(folder: Path, height: int = 40, width: int = 60, **profile: Any) -> RasterHeader:  # noqa: ANN401
    """Write a grey image on whose grid labels are read."""
    grey = np.full((height, width), 128, np.uint8)
    return raster_reader.describe(write_raster(folder / "image.tif", grey, **profile))


def rgb_of(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def painted(ids: Array, colors: tuple[str, ...] = COLORS) -> npt.NDArray[np.uint8]:
    """Convert class ids (h, w) to colours (3, h, w) by lookup."""
    return np.moveaxis(np.array([rgb_of(color) for color in colors], np.uint8)[ids], -1, 0)


def random_ids(height: int = 40, width: int = 60, top: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, top, (height, width)).astype(np.uint8)
