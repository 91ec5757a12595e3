"""Reading rasters by windows: any file GDAL opens, local, s3:// or https://.

A raster's header, as GDAL reads it, as a `Raster`.
"""

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
    """Read the header.

    Raises:
        SourceError: missing, unreadable, without bands, or complex.
    """
    dataset = dataset_cache.reopen(url)
    with rasterio.Env(**gdal_options()):
        raster = header(dataset, url)
    dataset_cache.keep(raster, dataset)
    return raster


def read(raster: RasterHeader, bands: tuple[int, ...], window: Window) -> tuple[Image, Valid]:
    """Read a window.

    Returns:
        The image (C, h, w) in ``raster.dtype`` and where it is valid (h, w): False at nodata,
        transparent or masked pixels and where a band is not finite.

    Raises:
        SourceError: naming the window, when the file is truncated or the server gives up.
    """
    with reading(raster, window) as dataset:
        return pixels(dataset, raster, bands, window)


def read_valid(raster: RasterHeader, bands: tuple[int, ...], window: Window) -> Valid:
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


def blocks(raster: RasterHeader) -> Blocks:
    """How the file stores full resolution; a VRT's own bytes say nothing, its pixels' count.

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


@contextmanager
def reading(raster: RasterHeader, window: Window) -> Iterator[DatasetReader]:
    """The raster's dataset while a window is read; GDAL's errors become one line.

    Raises:
        SourceError: naming the window.
    """
    try:
        with rasterio.Env(**gdal_options()):
            yield dataset_cache.opened(raster)
    except GDAL_ERRORS as error:
        dataset_cache.forget(raster.url)
        raise SourceError(
            f"{raster.url}: rows {window.row}-{window.row_stop}, columns {window.col}-"
            f"{window.col_stop} cannot be read ({reason(error)}); the file is truncated or "
            "damaged there, mend it and rerun: what is done is kept"
        ) from None


def pixels(
    dataset: DatasetReader, raster: RasterHeader, bands: tuple[int, ...], window: Window
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


def sample(
    raster: RasterHeader, bands: tuple[int, ...], *, side: int = 5, size_px: int = 256
) -> Image:
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
    index: Image, bands: tuple[int, ...], valid: Valid, raster: RasterHeader
) -> tuple[Image, Valid]:
    table = np.array(raster.palette, np.uint8)[index]  # (h, w, RGBA)
    channels = [band - 1 for band in bands]
    return np.moveaxis(table[..., channels], -1, 0), valid & (table[..., 3] > 0)


def header(dataset: DatasetReader, url: str) -> RasterHeader:
    """What is known of an open dataset.

    Raises:
        SourceError: without bands, or complex.
    """
    if dataset.count == 0:
        raise SourceError(f"{url}: has no bands{_subdatasets(dataset)}")
    palette = _palette(dataset)
    raster = RasterHeader(
        url=url,
        identity=identity(dataset, url),
        height=dataset.height,
        width=dataset.width,
        bands=(1, 2, 3) if palette else _colour_bands(dataset),
        band_names=RGB if palette else _band_names(dataset),
        dtype="uint8" if palette else _common_dtype(dataset),
        crs_wkt=_crs_wkt(dataset),
        transform=_transform(dataset),
        gcps=_gcps(dataset),
        rpcs=tuple(dataset.tags(ns="RPC").items()),
        palette=palette,
        dated=_dated(dataset),
        warnings=_warnings(dataset, url),
    )
    if not raster.bands:
        raise SourceError(f"{url}: its only band is alpha; there is nothing to segment")
    return raster


def _colour_bands(dataset: DatasetReader) -> tuple[int, ...]:
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    return tuple(index for index, kind in kinds if kind != ColorInterp.alpha)


def _band_names(dataset: DatasetReader) -> tuple[str, ...]:
    """Descriptions that name a colour, which people write; else GDAL's colour; else those."""
    kinds = zip(dataset.descriptions, dataset.colorinterp, strict=True)
    return tuple(_name(said or "", kind.name) for said, kind in kinds)


def _name(said: str, colour: str) -> str:
    return said if canonical_band_name(said) in COLOURS or colour not in COLOURS else colour


def _common_dtype(dataset: DatasetReader) -> str:
    """One dtype that holds every band: bands of a GDAL dataset may differ."""
    names = [name for name in dataset.dtypes if name != "complex_int16"]
    if len(names) < len(dataset.dtypes):
        return "complex64"
    return str(np.result_type(*names))


def _palette(dataset: DatasetReader) -> tuple[tuple[int, int, int, int], ...] | None:
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    try:
        colormap = dataset.colormap(1)
    except ValueError:  # it says palette, but has none: the values are what there is
        return None
    size = np.iinfo(dataset.dtypes[0]).max + 1
    return tuple(colormap.get(index, (0, 0, 0, 0)) for index in range(size))


def _crs_wkt(dataset: DatasetReader) -> str | None:
    crs = dataset.crs or dataset.gcps[1]
    return crs.to_wkt() if crs else None


def _transform(dataset: DatasetReader) -> tuple[float, float, float, float, float, float] | None:
    affine = dataset.transform
    return None if affine.is_identity else tuple(affine)[:6]


def _gcps(dataset: DatasetReader) -> tuple[GroundControlPoint, ...]:
    points = dataset.gcps[0]
    return tuple(
        GroundControlPoint(row=p.row, col=p.col, x=p.x, y=p.y, z=p.z or 0.0) for p in points
    )


def _dated(dataset: DatasetReader) -> str | None:
    """The time of the tag, which cameras without a clock fill with zeros."""
    text = dataset.tags().get("TIFFTAG_DATETIME", "")
    try:
        return f"{datetime.strptime(text.strip(), '%Y:%m:%d %H:%M:%S').isoformat()}Z"  # noqa: DTZ007 - TIFF 6.0 knows no zones
    except ValueError:
        return None


def _warnings(dataset: DatasetReader, url: str) -> tuple[str, ...]:
    if _crs_wkt(dataset) or dataset.tags(ns="RPC"):
        return ()
    return (
        f"{redact_url(url)}: has no coordinate reference system; the mask will have none either",
    )


def _subdatasets(dataset: DatasetReader) -> str:
    names = dataset.subdatasets
    return f"; name one of its subdatasets, e.g. {names[0]}" if names else ""
