"""Read one raster on the pixel grid of another, by whole-pixel shift or nearest-neighbour warp.

    like  +-----------+
          |     +-----+---+
          +-----+-----+   |
                +---------+  raster

If CRS and pixel size agree, pixel (row, col) of `like` is pixel (row, col) + shift of `raster`.
Otherwise GDAL warps window by window. Pixels that `raster` does not cover are not valid.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader
from rasterio.transform import array_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from segtasks.errors import SourceError
from segtasks.raster.grid import Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import raster_reader
from segtasks.storage.gdal import GDAL_ERRORS
from segtasks.storage.raster_reader import Image, Valid

DRIFT_PX = 0.1
"""Two pixel sizes are equal if the grids drift apart by no more than this over the raster."""

Shift = tuple[int, int]
"""(rows, columns)."""


@dataclass(frozen=True)
class AlignedRaster:
    """A raster that is read by windows of another one.

    Attributes:
        raster: the raster whose pixels are read.
        like: the raster whose grid the windows refer to.
        shift: rows and columns to add to a pixel of ``like``; ``None`` if ``raster`` is warped.
    """

    raster: RasterHeader
    like: RasterHeader
    shift: Shift | None

    def read(self, bands: tuple[int, ...], window: Window) -> tuple[Image, Valid]:
        """Read a window of ``like``: image (C, h, w) and valid (h, w), as `raster_reader.read`.

        Raises:
            SourceError: the window cannot be read.
        """
        if self.shift is None:
            with (
                raster_reader.reading(self.raster, window) as dataset,
                _warped(dataset, self.like) as vrt,
            ):
                return raster_reader.pixels(vrt, self.raster, bands, window)
        rows, cols = self.shift
        place = Window(window.row + rows, window.col + cols, window.height, window.width)
        inside = place.intersect(extent(self.raster))
        if inside == place:
            return raster_reader.read(self.raster, bands, place)
        return self._read_part(bands, place, inside)

    def _read_part(
        self, bands: tuple[int, ...], place: Window, inside: Window
    ) -> tuple[Image, Valid]:
        image: Image = np.zeros((len(bands), *place.shape), self.raster.dtype)
        valid: Valid = np.zeros(place.shape, np.bool_)
        if inside.pixels:
            rows, cols = inside.within(place)
            image[:, rows, cols], valid[rows, cols] = raster_reader.read(self.raster, bands, inside)
        return image, valid


def align(raster: RasterHeader, like: RasterHeader) -> AlignedRaster:
    """Place ``raster`` on the grid of ``like``: by geotransforms when both have one, else by size.

    Raises:
        SourceError: one has no geotransform and their sizes differ; only one has a CRS and their
            grids differ; the two do not overlap; or PROJ cannot transform between their CRSs.
    """
    if raster.transform is None or like.transform is None:
        _require_one_size(raster, like)
        return AlignedRaster(raster, like, (0, 0))
    if (raster.crs_wkt is None) != (like.crs_wkt is None):
        _require_one_grid(raster, like)
        return AlignedRaster(raster, like, (0, 0))
    affine = Affine(*raster.transform)
    bounds = array_bounds(raster.height, raster.width, affine)
    require_overlap(raster.url, footprint_of(bounds, raster.crs_wkt, like), like)
    return AlignedRaster(raster, like, _shift(raster, like) if is_one_crs(raster, like) else None)


def extent(raster: RasterHeader) -> Window:
    """Return the window that covers the whole raster."""
    return Window(0, 0, raster.height, raster.width)


def is_one_crs(raster: RasterHeader, like: RasterHeader) -> bool:
    """Return whether two rasters have the same CRS, even if its WKT differs."""
    if raster.crs_wkt == like.crs_wkt or raster.crs_wkt is None or like.crs_wkt is None:
        return raster.crs_wkt == like.crs_wkt
    return bool(CRS.from_wkt(raster.crs_wkt) == CRS.from_wkt(like.crs_wkt))


def require_overlap(url: str, footprint: Window, like: RasterHeader) -> None:
    """Refuse a file that does not overlap ``like``.

    Args:
        url: name of the file for the message.
        footprint: what the file covers, in pixels of ``like``.
        like: the other raster.

    Raises:
        SourceError: the two share no pixel.
    """
    if not footprint.overlaps(extent(like)):
        raise SourceError(
            f"{url} does not overlap {like.url}: it covers rows {footprint.row} … "
            f"{footprint.row_stop}, columns {footprint.col} … {footprint.col_stop} of its "
            f"{like.height} x {like.width} px; check the CRS of both, or pair it with another image"
        )


def footprint_of(
    bounds: tuple[float, float, float, float], crs_wkt: str | None, like: RasterHeader
) -> Window:
    """Return the window of ``like`` that a box (left, bottom, right, top) in another CRS touches.

    Raises:
        SourceError: PROJ cannot transform between the CRSs.
    """
    left, bottom, right, top = reproject_bounds(bounds, crs_wkt, like.crs_wkt, like.url)
    inverse = ~Affine(*(like.transform or Affine.identity()))
    corners = [inverse @ (x, y) for x in (left, right) for y in (bottom, top)]
    cols, rows = zip(*corners, strict=True)
    row, col = floor(min(rows)), floor(min(cols))
    return Window(row, col, ceil(max(rows)) - row, ceil(max(cols)) - col)


def reproject_bounds(
    bounds: tuple[float, float, float, float], source: str | None, target: str | None, url: str
) -> tuple[float, float, float, float]:
    """Return the box (left, bottom, right, top) that encloses ``bounds`` in another CRS.

    Args:
        bounds: box in the source CRS.
        source: source CRS as WKT; ``None`` leaves the box as it is.
        target: target CRS as WKT; ``None`` leaves the box as it is.
        url: name of the file for messages.

    Raises:
        SourceError: PROJ cannot transform between the two, or not at these coordinates.
    """
    if source == target or source is None or target is None:
        return bounds
    try:
        box = transform_bounds(CRS.from_wkt(source), CRS.from_wkt(target), *bounds)
    except GDAL_ERRORS as error:
        raise SourceError(
            f"{url}: cannot be transformed to the CRS of its labels ({error}); reproject them first"
        ) from None
    if not np.isfinite(box).all():
        raise SourceError(
            f"{url}: {bounds} has no coordinates in the other CRS of image and labels; check the "
            "CRS of both"
        )
    left, bottom, right, top = box
    return left, bottom, right, top


def _shift(raster: RasterHeader, like: RasterHeader) -> Shift | None:
    """Return the nearest whole-pixel shift from ``like`` to ``raster``, if pixel sizes agree."""
    step = ~Affine(*(raster.transform or ())) @ Affine(*(like.transform or ()))
    drift = np.abs([step.a - 1, step.b, step.d, step.e - 1])
    if drift.max() * max(like.height, like.width) > DRIFT_PX:
        return None
    return round(step.f), round(step.c)


def _warped(dataset: DatasetReader, like: RasterHeader) -> WarpedVRT:
    """Warp the dataset to the grid of ``like``, transparent where it has no pixels."""
    return WarpedVRT(
        dataset,
        crs=like.crs_wkt,
        transform=Affine(*(like.transform or ())),
        height=like.height,
        width=like.width,
        resampling=Resampling.nearest,
        add_alpha=ColorInterp.alpha not in dataset.colorinterp,
    )


def _require_one_size(raster: RasterHeader, like: RasterHeader) -> None:
    if (raster.height, raster.width) != (like.height, like.width):
        unplaced = raster if raster.transform is None else like
        raise SourceError(
            f"{raster.url} is {raster.height} x {raster.width} px, {like.url} {like.height} x "
            f"{like.width}, and {unplaced.url} has no geotransform; resample the labels to the "
            "image's grid, or georeference both"
        )


def _require_one_grid(raster: RasterHeader, like: RasterHeader) -> None:
    is_same = (raster.height, raster.width) == (like.height, like.width)
    if not is_same or _shift(raster, like) != (0, 0):
        without, other = (raster, like) if raster.crs_wkt is None else (like, raster)
        raise SourceError(
            f"{without.url} has no CRS, {other.url} has one, and their grids differ; write the CRS "
            "into the first (rio edit-info --crs)"
        )
