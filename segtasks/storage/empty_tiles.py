"""Where a raster holds nothing, as far as its file proves it without a look at full resolution.

Two proofs, both of GeoTIFF:

- A sparse file leaves out blocks that were never written. GDAL reads them as nodata, or as 0 where
  no nodata is declared: without data where nodata is declared for all bands, or alpha is one of
  them. Exact, and needs the file's index alone.
- An overview by average has nodata only where all pixels below have it: GDAL leaves nodata out of
  the mean. That holds of the file if it says AVERAGE itself, if nodata is the least or greatest
  integer (no mean of other values becomes it), and if no lossy compression has touched it.

By nearest, mode or cubic a pixel of an overview says nothing of its neighbours below, so such
overviews, and those that do not say how they were made, prove nothing and are not used; nor are
those in a file of their own (.ovr).
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
MOST_PX = 8 * 2**20
"""Of the overview that is read."""
AROUND_PX = 2
"""Of the overview: sizes are rounded, level upon level."""


def empty_tiles(raster: RasterHeader, grid: Grid) -> TileSelection:
    """The tiles of ``grid`` that are proven to be without data.

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
    """Tiles of blocks that were never written."""
    bands = _deciding_bands(dataset)
    height, width = dataset.block_shapes[0]
    if not bands or dataset.block_shapes.count((height, width)) < dataset.count:
        return
    for tile in grid.tiles():
        core = grid.core(tile)
        if all(_is_missing(dataset, bands, row, col) for row, col in _blocks(core, height, width)):
            yield tile


def _deciding_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """The bands that show a pixel to be without data if all of them are missing there."""
    if all(value is not None for value in dataset.nodatavals):
        return tuple(dataset.indexes)
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    return tuple(index for index, kind in kinds if kind == ColorInterp.alpha)


def _blocks(core: Window, height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = range(core.row // height, ceil(core.row_stop / height))
    cols = range(core.col // width, ceil(core.col_stop / width))
    return ((row, col) for row in rows for col in cols)


def _is_missing(dataset: DatasetReader, bands: tuple[int, ...], row: int, col: int) -> bool:
    """Whether the file has no bytes for a block (GDAL: BLOCK_OFFSET in the domain TIFF)."""
    name = f"BLOCK_OFFSET_{col}_{row}"
    return all(dataset.get_tag_item(name, "TIFF", bidx=band) is None for band in bands)


def _proving_level(dataset: DatasetReader) -> int | None:
    """The finest overview of a moderate size, if overviews prove anything."""
    # An .ovr is another file, which may be older than this one.
    is_apart = any(name.endswith(".ovr") for name in dataset.files)
    if is_apart or not _has_extreme_nodata(dataset) or dataset.compression not in LOSSLESS:
        return None
    factors = dataset.overviews(1)
    for level, factor in enumerate(factors):
        if ceil(dataset.height / factor) * ceil(dataset.width / factor) <= MOST_PX:
            return level if _is_average(dataset, level) else None
    return None


def _has_extreme_nodata(dataset: DatasetReader) -> bool:
    """Whether nodata alone decides, and is the end of an integer type's range in every band."""
    if any(flags != [MaskFlags.nodata] for flags in dataset.mask_flag_enums):
        return False
    if any(np.dtype(name).kind not in "iu" for name in dataset.dtypes):
        return False
    ends = ((np.iinfo(name).min, np.iinfo(name).max) for name in dataset.dtypes)
    return all(value in end for value, end in zip(dataset.nodatavals, ends, strict=True))


def _is_average(dataset: DatasetReader, level: int) -> bool:
    """Whether the file says so: gdaladdo in each overview, GDAL's later COG driver in the file.

    A level is made of the one before, so all of them must be; gdaladdo tags the first band alone.
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
            area = _below(grid, grid.core(tile), overview)
            valid: Valid = overview.dataset_mask(window=area) > 0
            if not valid.any():
                yield tile


def _below(grid: Grid, core: Window, overview: DatasetReader) -> RasterioWindow:
    """The overview's pixels that a core went into, and some around them."""
    down, across = overview.height / grid.height, overview.width / grid.width
    row, col = floor(core.row * down) - AROUND_PX, floor(core.col * across) - AROUND_PX
    row_stop = ceil(core.row_stop * down) + AROUND_PX
    col_stop = ceil(core.col_stop * across) + AROUND_PX
    return RasterioWindow.from_slices(
        (max(0, row), min(overview.height, row_stop)), (max(0, col), min(overview.width, col_stop))
    )
