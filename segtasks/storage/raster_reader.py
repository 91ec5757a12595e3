"""Read headers and windows of rasters: any file that GDAL opens, local, s3:// or https://."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from segtasks.errors import SourceError, redact_url
from segtasks.raster.band_names import COLOURS, RGB, canonical_band_name
from segtasks.raster.grid import Window
from segtasks.raster.header import GroundControlPoint, RasterHeader
from segtasks.storage import dataset_cache, object_store
from segtasks.storage.dataset_cache import identity
from segtasks.storage.gdal import GDAL_ERRORS, gdal_options, reason

Image = npt.NDArray[Any]
Valid = npt.NDArray[np.bool_]


def describe(url: str) -> RasterHeader:
    """Read the header of a raster.

    Raises:
        SourceError: it is missing, unreadable, complex, or has no bands.
    """
    dataset = dataset_cache.reopen(url)
    with rasterio.Env(**gdal_options()):
        raster = header(dataset, url)
    dataset_cache.keep(raster, dataset)
    return raster


def read(raster: RasterHeader, bands: tuple[int, ...], window: Window) -> tuple[Image, Valid]:
    """Read a window.

    Args:
        raster: the raster's header.
        bands: 1-based bands in the wanted order; for a raster with a palette, channels of RGB.
        window: lies inside the raster.

    Returns:
        The image (C, h, w) in ``raster.dtype`` and which pixels are valid (h, w). Pixels are
        invalid if they are nodata, transparent or masked, or if a band is not finite.

    Raises:
        SourceError: the file is truncated or the server fails; the message names the window.
    """
    with reading(raster, window) as dataset:
        return pixels(dataset, raster, bands, window)


def read_valid(raster: RasterHeader, bands: tuple[int, ...], window: Window) -> Valid:
    """Read which pixels (h, w) of a window are valid, if possible without decoding the image.

    Bands of floats are read nevertheless, since their values may not be finite.

    Raises:
        SourceError: as `read`.
    """
    if raster.palette or np.dtype(raster.dtype).kind == "f":
        return read(raster, bands, window)[1]
    with reading(raster, window) as dataset:
        return _valid(dataset, _area(window))


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a file stores its pixels: the size of its blocks, and the mean bytes per pixel."""

    height: int
    width: int
    bytes_per_px: float

    def touched_px(self, window: Window) -> int:
        """Return the number of pixels in the blocks that a window touches."""
        rows = ceil(window.row_stop / self.height) - window.row // self.height
        cols = ceil(window.col_stop / self.width) - window.col // self.width
        return rows * self.height * cols * self.width


def blocks(raster: RasterHeader) -> Blocks:
    """Return how the file stores full resolution.

    A VRT is taken as uncompressed, since its own size does not include its pixels.

    Raises:
        SourceError: as `read`.
    """
    with reading(raster, Window(0, 0, raster.height, raster.width)) as dataset:
        height, width = dataset.block_shapes[0]
        factors, is_virtual = dataset.overviews(1), dataset.driver == "VRT"
        itemsizes = [np.dtype(name).itemsize for name in dataset.dtypes if name != "complex_int16"]
    stored = sum(itemsizes) * raster.pixels if is_virtual else object_store.size(raster.url)
    share = 1 / (1 + sum(1 / factor**2 for factor in factors))
    return Blocks(height, width, stored * share / raster.pixels)


def sample(
    raster: RasterHeader, bands: tuple[int, ...], *, side: int = 5, size_px: int = 256
) -> Image:
    """Read the valid pixels (N, C) of windows spread evenly over the raster.

    Args:
        raster: the raster's header.
        bands: 1-based bands.
        side: number of windows along each axis.
        size_px: side of a window.
    """
    rows = np.linspace(0, max(0, raster.height - size_px), side).astype(int)
    cols = np.linspace(0, max(0, raster.width - size_px), side).astype(int)
    whole = Window(0, 0, raster.height, raster.width)
    samples = []
    for row in dict.fromkeys(rows.tolist()):
        for col in dict.fromkeys(cols.tolist()):
            image, valid = read(raster, bands, Window(row, col, size_px, size_px).intersect(whole))
            samples.append(image[:, valid].T)
    return np.concatenate(samples)


@contextmanager
def reading(raster: RasterHeader, window: Window) -> Iterator[DatasetReader]:
    """Yield the raster's dataset to read a window; errors of GDAL become one line.

    Raises:
        SourceError: the window cannot be read; the message names it.
    """
    try:
        with rasterio.Env(**gdal_options()):
            yield dataset_cache.opened(raster)
    except GDAL_ERRORS as error:
        dataset_cache.forget(raster.url)
        raise SourceError(
            f"{raster.url}: rows {window.row}-{window.row_stop}, columns {window.col}-"
            f"{window.col_stop} cannot be read ({reason(error)}); the file is truncated or "
            "damaged there, repair it and rerun: finished tiles are kept"
        ) from None


def pixels(
    dataset: DatasetReader, raster: RasterHeader, bands: tuple[int, ...], window: Window
) -> tuple[Image, Valid]:
    """Read a window as `read` does, from the raster's own dataset or from a warped one."""
    area = _area(window)
    valid = _valid(dataset, area)
    if raster.palette:
        colours = np.array(raster.palette, np.uint8)[dataset.read(1, window=area)]  # (h, w, RGBA)
        channels = [band - 1 for band in bands]
        return np.moveaxis(colours[..., channels], -1, 0), valid & (colours[..., 3] > 0)
    image = _read_bands(dataset, bands, area, raster.dtype)
    if image.dtype.kind == "f":
        valid &= np.isfinite(image).all(axis=0)
    return image, valid


def header(dataset: DatasetReader, url: str) -> RasterHeader:
    """Return the header of an open dataset.

    Raises:
        SourceError: it is complex or has no bands.
    """
    if dataset.count == 0:
        names = dataset.subdatasets
        remedy = f"; name one of its subdatasets, e.g. {names[0]}" if names else ""
        raise SourceError(f"{url}: has no bands{remedy}")
    palette = _palette(dataset)
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    colour_bands = tuple(index for index, kind in kinds if kind != ColorInterp.alpha)
    affine = dataset.transform
    raster = RasterHeader(
        url=url,
        identity=identity(dataset, url),
        height=dataset.height,
        width=dataset.width,
        bands=(1, 2, 3) if palette else colour_bands,
        band_names=RGB if palette else _band_names(dataset),
        dtype="uint8" if palette else _common_dtype(dataset),
        crs_wkt=_crs_wkt(dataset),
        transform=None if affine.is_identity else tuple(affine)[:6],
        gcps=_gcps(dataset),
        rpcs=tuple(dataset.tags(ns="RPC").items()),
        palette=palette,
        dated=_dated(dataset),
        warnings=_warnings(dataset, url),
    )
    if not raster.bands:
        raise SourceError(f"{url}: has only an alpha band; give a raster with image bands")
    return raster


def _area(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)


def _valid(dataset: DatasetReader, area: RasterioWindow) -> Valid:
    """Read GDAL's mask, and alpha, which the mask ignores if a nodata value is declared as well."""
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


def _band_names(dataset: DatasetReader) -> tuple[str, ...]:
    """Return a name per band: a description that is a colour, else GDAL's colour if it is one.

    If neither is a colour, the description is the name, and is empty if there is none.
    """
    names = []
    for description, kind in zip(dataset.descriptions, dataset.colorinterp, strict=True):
        is_colour = canonical_band_name(description or "") in COLOURS
        names.append(kind.name if kind.name in COLOURS and not is_colour else description or "")
    return tuple(names)


def _common_dtype(dataset: DatasetReader) -> str:
    """Return one dtype that holds the values of all bands, whose dtypes may differ."""
    names = [name for name in dataset.dtypes if name != "complex_int16"]
    if len(names) < len(dataset.dtypes):
        return "complex64"
    return str(np.result_type(*names))


def _palette(dataset: DatasetReader) -> tuple[tuple[int, int, int, int], ...] | None:
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    try:
        colormap = dataset.colormap(1)
    except ValueError:  # a palette is declared but missing, so the values are taken as they are
        return None
    size = np.iinfo(dataset.dtypes[0]).max + 1
    return tuple(colormap.get(index, (0, 0, 0, 0)) for index in range(size))


def _crs_wkt(dataset: DatasetReader) -> str | None:
    crs = dataset.crs or dataset.gcps[1]
    return crs.to_wkt() if crs else None


def _gcps(dataset: DatasetReader) -> tuple[GroundControlPoint, ...]:
    points = dataset.gcps[0]
    return tuple(
        GroundControlPoint(row=p.row, col=p.col, x=p.x, y=p.y, z=p.z or 0.0) for p in points
    )


def _dated(dataset: DatasetReader) -> str | None:
    """Return the time of TIFFTAG_DATETIME; cameras without a clock fill it with zeros."""
    text = dataset.tags().get("TIFFTAG_DATETIME", "")
    try:
        return f"{datetime.strptime(text.strip(), '%Y:%m:%d %H:%M:%S').isoformat()}Z"  # noqa: DTZ007 - TIFF 6.0 has no time zones
    except ValueError:
        return None


def _warnings(dataset: DatasetReader, url: str) -> tuple[str, ...]:
    if _crs_wkt(dataset) or dataset.tags(ns="RPC"):
        return ()
    return (
        f"{redact_url(url)}: has no coordinate reference system; the mask will have none either",
    )
