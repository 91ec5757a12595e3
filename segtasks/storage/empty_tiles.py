"""Find tiles without data, as far as the file proves it without reading full resolution.

There are two proofs, both for GeoTIFF:

- A sparse file omits blocks that were never written. GDAL reads them as nodata, or as 0 if no
  nodata value is declared. Such blocks have no data if nodata is declared for all bands or if one
  band is alpha. This proof is exact and needs only the file's index.
- An overview made by averaging is nodata only where all pixels below are nodata, because GDAL
  leaves nodata out of the mean. This holds if the file's own metadata say AVERAGE, if nodata is the
  smallest or largest value of an integer type (so that no mean of other values equals it), and if
  the compression is lossless.

With nearest, mode or cubic resampling, an overview pixel proves nothing about all pixels below.
Such overviews, those without metadata on the resampling, and those in a separate file (.ovr) are
not used.
"""

from collections.abc import Iterator
from math import ceil, floor

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Compression, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from segtasks.raster.grid import Grid, Tile, TileSelection, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import raster_reader
from segtasks.storage.gdal import gdal_options, gdal_path
from segtasks.storage.raster_reader import Valid

LOSSLESS = {None, *(Compression(name) for name in ("DEFLATE", "LZW", "ZSTD", "LZMA", "PACKBITS"))}
MAX_OVERVIEW_PX = 8 * 2**20
"""Largest number of pixels of the overview that is read."""
AROUND_PX = 2
"""Overview pixels read around a tile, because the sizes of overviews are rounded at every level."""


def empty_tiles(raster: RasterHeader, grid: Grid) -> TileSelection:
    """Select the tiles of ``grid`` that are proven to have no data.

    Raises:
        SourceError: the index or an overview cannot be read.
    """
    if raster.palette:
        return TileSelection.of(grid, ())
    with raster_reader.reading(raster, grid.raster) as dataset:
        if dataset.driver != "GTiff":
            return TileSelection.of(grid, ())
        found = set(_sparse(dataset, grid))
        level = _proving_level(dataset)
    if level is not None:
        found |= set(_empty_in_overview(raster, grid, level))
    return TileSelection.of(grid, found)


def _sparse(dataset: DatasetReader, grid: Grid) -> Iterator[Tile]:
    """Yield the tiles of which no block was ever written."""
    bands = _deciding_bands(dataset)
    height, width = dataset.block_shapes[0]
    if not bands or dataset.block_shapes.count((height, width)) < dataset.count:
        return
    for tile in grid.tiles():
        core = grid.core(tile)
        rows = range(core.row // height, ceil(core.row_stop / height))
        cols = range(core.col // width, ceil(core.col_stop / width))
        if all(_is_missing(dataset, bands, row, col) for row in rows for col in cols):
            yield tile


def _deciding_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Return the bands whose absence proves that there is no data: all, or alpha, or none."""
    if all(value is not None for value in dataset.nodatavals):
        return tuple(dataset.indexes)
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    return tuple(index for index, kind in kinds if kind == ColorInterp.alpha)


def _is_missing(dataset: DatasetReader, bands: tuple[int, ...], row: int, col: int) -> bool:
    """Return whether the file has no bytes of a block (GDAL: BLOCK_OFFSET in the domain TIFF)."""
    name = f"BLOCK_OFFSET_{col}_{row}"
    return all(dataset.get_tag_item(name, "TIFF", bidx=band) is None for band in bands)


def _proving_level(dataset: DatasetReader) -> int | None:
    """Return the finest overview of moderate size, if overviews can prove anything."""
    # An .ovr is a separate file, which may be older than this one.
    is_external = any(name.endswith(".ovr") for name in dataset.files)
    if is_external or not _has_extreme_nodata(dataset) or dataset.compression not in LOSSLESS:
        return None
    factors = dataset.overviews(1)
    for level, factor in enumerate(factors):
        if ceil(dataset.height / factor) * ceil(dataset.width / factor) <= MAX_OVERVIEW_PX:
            return level if _is_average(dataset, level) else None
    return None


def _has_extreme_nodata(dataset: DatasetReader) -> bool:
    """Return whether only nodata marks validity, with an extreme integer value in every band."""
    if any(flags != [MaskFlags.nodata] for flags in dataset.mask_flag_enums):
        return False
    if any(np.dtype(name).kind not in "iu" for name in dataset.dtypes):
        return False
    ends = ((np.iinfo(name).min, np.iinfo(name).max) for name in dataset.dtypes)
    return all(value in end for value, end in zip(dataset.nodatavals, ends, strict=True))


def _is_average(dataset: DatasetReader, level: int) -> bool:
    """Return whether the metadata say that overviews up to ``level`` were made by averaging.

    GDAL's COG driver writes this for the file, gdaladdo for each overview of the first band. Each
    level is made from the one before it, so all of them must be averages.
    """
    if dataset.tags(ns="IMAGE_STRUCTURE").get("OVERVIEW_RESAMPLING") == "AVERAGE":
        return True
    tags = [dataset.get_tag_item("RESAMPLING", bidx=1, ovr=each) for each in range(level + 1)]
    return set(tags) == {"AVERAGE"}


def _empty_in_overview(raster: RasterHeader, grid: Grid, level: int) -> Iterator[Tile]:
    with (
        rasterio.Env(**gdal_options()),
        rasterio.open(gdal_path(raster.url), overview_level=level) as overview,
    ):
        for tile in grid.tiles():
            area = _overview_window(grid, grid.core(tile), overview)
            valid: Valid = overview.dataset_mask(window=area) > 0
            if not valid.any():
                yield tile


def _overview_window(grid: Grid, core: Window, overview: DatasetReader) -> RasterioWindow:
    """Return the overview's pixels that a core contributes to, and some around them."""
    down, across = overview.height / grid.height, overview.width / grid.width
    row, col = floor(core.row * down) - AROUND_PX, floor(core.col * across) - AROUND_PX
    row_stop = ceil(core.row_stop * down) + AROUND_PX
    col_stop = ceil(core.col_stop * across) + AROUND_PX
    return RasterioWindow.from_slices(
        (max(0, row), min(overview.height, row_stop)), (max(0, col), min(overview.width, col_stop))
    )
