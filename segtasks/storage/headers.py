"""A raster's header, as GDAL reads it, as a `Raster`."""

from datetime import datetime

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from segtasks.addresses import public
from segtasks.colours import COLOURS, RGB, spelt
from segtasks.errors import SourceError
from segtasks.raster import GroundControlPoint, Raster
from segtasks.storage.datasets import identity


def header(dataset: DatasetReader, url: str) -> Raster:
    """What is known of an open dataset.

    Raises:
        SourceError: without bands, or complex.
    """
    if dataset.count == 0:
        raise SourceError(f"{url}: has no bands{_subdatasets(dataset)}")
    palette = _palette(dataset)
    raster = Raster(
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
    return said if spelt(said) in COLOURS or colour not in COLOURS else colour


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
    return (f"{public(url)}: has no coordinate reference system; the mask will have none either",)


def _subdatasets(dataset: DatasetReader) -> str:
    names = dataset.subdatasets
    return f"; name one of its subdatasets, e.g. {names[0]}" if names else ""
