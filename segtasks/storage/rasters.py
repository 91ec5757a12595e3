"""Reading rasters by windows: any file GDAL opens, local, s3:// or https://."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from segtasks.errors import SourceError
from segtasks.grid import Window
from segtasks.raster import Raster
from segtasks.storage import datasets, objects
from segtasks.storage.gdal import GDAL_ERRORS, gdal_options, reason
from segtasks.storage.headers import header

Image = npt.NDArray[Any]
Valid = npt.NDArray[np.bool_]


def describe(url: str) -> Raster:
    """Read the header.

    Raises:
        SourceError: missing, unreadable, without bands, or complex.
    """
    dataset = datasets.open_anew(url)
    with rasterio.Env(**gdal_options()):
        raster = header(dataset, url)
    datasets.keep(raster, dataset)
    return raster


def read(raster: Raster, bands: tuple[int, ...], window: Window) -> tuple[Image, Valid]:
    """Read a window.

    Returns:
        The image (C, h, w) in ``raster.dtype`` and where it is valid (h, w): False at nodata,
        transparent or masked pixels and where a band is not finite.

    Raises:
        SourceError: naming the window, when the file is truncated or the server gives up.
    """
    with reading(raster, window) as dataset:
        return pixels(dataset, raster, bands, window)


def read_valid(raster: Raster, bands: tuple[int, ...], window: Window) -> Valid:
    """Where a window is valid (h, w), without its pixels: those of JPEG need not be decoded.

    Bands of floats are read nonetheless, since they may not be finite.

    Raises:
        SourceError: as `read`.
    """
    if raster.palette or np.dtype(raster.dtype).kind == "f":
        return read(raster, bands, window)[1]
    with reading(raster, window) as dataset:
        return _valid(dataset, _area(window))


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a file stores its pixels: blocks of (height, width), and bytes per pixel on average."""

    height: int
    width: int
    bytes_per_px: float

    def touched_px(self, window: Window) -> int:
        """Pixels of the blocks that must be read for a window."""
        rows = ceil(window.row_stop / self.height) - window.row // self.height
        cols = ceil(window.col_stop / self.width) - window.col // self.width
        return rows * self.height * cols * self.width


def blocks(raster: Raster) -> Blocks:
    """How the file stores full resolution; a VRT's own bytes say nothing, its pixels' count.

    Raises:
        SourceError: as `read`.
    """
    with reading(raster, Window(0, 0, raster.height, raster.width)) as dataset:
        height, width = dataset.block_shapes[0]
        factors, is_virtual = dataset.overviews(1), dataset.driver == "VRT"
        itemsizes = [np.dtype(name).itemsize for name in dataset.dtypes if name != "complex_int16"]
    stored = sum(itemsizes) * raster.pixels if is_virtual else objects.size(raster.url)
    share = 1 / (1 + sum(1 / factor**2 for factor in factors))
    return Blocks(height, width, stored * share / raster.pixels)


@contextmanager
def reading(raster: Raster, window: Window) -> Iterator[DatasetReader]:
    """The raster's dataset while a window is read; GDAL's errors become one line.

    Raises:
        SourceError: naming the window.
    """
    try:
        with rasterio.Env(**gdal_options()):
            yield datasets.opened(raster)
    except GDAL_ERRORS as error:
        datasets.forget(raster.url)
        raise SourceError(
            f"{raster.url}: rows {window.row}-{window.row_stop}, columns {window.col}-"
            f"{window.col_stop} cannot be read ({reason(error)}); the file is truncated or "
            "damaged there, mend it and rerun: what is done is kept"
        ) from None


def pixels(
    dataset: DatasetReader, raster: Raster, bands: tuple[int, ...], window: Window
) -> tuple[Image, Valid]:
    """What `read` returns, of the raster's own dataset or of a warped one over it."""
    area = _area(window)
    valid = _valid(dataset, area)
    if raster.palette:
        return _expand(dataset.read(1, window=area), bands, valid, raster)
    image = _read_bands(dataset, bands, area, raster.dtype)
    if image.dtype.kind == "f":
        valid &= np.isfinite(image).all(axis=0)
    return image, valid


def _area(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)


def sample(raster: Raster, bands: tuple[int, ...], *, side: int = 5, size_px: int = 256) -> Image:
    """Valid pixels (N, C) of ``side`` x ``side`` windows spread evenly over the raster."""
    rows = np.linspace(0, max(0, raster.height - size_px), side).astype(int)
    cols = np.linspace(0, max(0, raster.width - size_px), side).astype(int)
    whole = Window(0, 0, raster.height, raster.width)
    found = []
    for row in dict.fromkeys(rows.tolist()):
        for col in dict.fromkeys(cols.tolist()):
            image, valid = read(raster, bands, Window(row, col, size_px, size_px).intersect(whole))
            found.append(image[:, valid].T)
    return np.concatenate(found)


def _valid(dataset: DatasetReader, area: RasterioWindow) -> Valid:
    """GDAL's mask; it overlooks alpha where a nodata value is declared as well."""
    valid: Valid = dataset.dataset_mask(window=area) > 0
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    alpha = [index for index, kind in kinds if kind == ColorInterp.alpha]
    if alpha and dataset.nodata is not None:
        valid &= dataset.read(alpha[0], window=area) > 0
    return valid


def _read_bands(
    dataset: DatasetReader, bands: tuple[int, ...], area: RasterioWindow, dtype: str
) -> Image:
    image: Image
    if len(set(dataset.dtypes)) == 1:
        image = dataset.read(list(bands), window=area, out_dtype=dtype)
    else:
        # Rasterio reads bands of several dtypes one by one only.
        image = np.stack([dataset.read(band, window=area).astype(dtype) for band in bands])
    return image


def _expand(
    index: Image, bands: tuple[int, ...], valid: Valid, raster: Raster
) -> tuple[Image, Valid]:
    table = np.array(raster.palette, np.uint8)[index]  # (h, w, RGBA)
    channels = [band - 1 for band in bands]
    return np.moveaxis(table[..., channels], -1, 0), valid & (table[..., 3] > 0)
