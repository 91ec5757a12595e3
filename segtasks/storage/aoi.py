"""The area of interest: polygons in the pixels of a raster, and where they are.

Inside is what GDAL burns: pixels whose centre lies in a polygon. The polygons rest in the
workspace, for workers have no other file of the user's machine; tasks carry their digest alone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

import numpy as np
from rasterio import Affine
from rasterio.features import rasterize

from segtasks.errors import JobError
from segtasks.raster.grid import Grid, Tile, TileSelection, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import aoi_geometry, object_store, vector_reader
from segtasks.storage.aoi_geometry import shortened
from segtasks.storage.raster_reader import Valid
from segtasks.storage.workspace import AREA

LOOK_PX = 1024
MOST_NAMED = 1000
"""Letters of it that go into the mask's tags."""
Ring = list[list[float]]
"""Closed, (col, row) each."""


@dataclass(frozen=True)
class Area:
    """Polygons, each its outer ring and its holes, (col, row) in pixels of a raster."""

    polygons: tuple[list[Ring], ...]

    @cached_property
    def text(self) -> str:
        """As JSON, which gives the very same numbers back."""
        return json.dumps(self.polygons)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of what matters: the polygons."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def _boxes(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """(left, top, right, bottom) of each polygon."""
        rings = [np.array(rings[0]) for rings in self.polygons]
        return np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in rings]).reshape(-1, 4)

    def touching(self, window: Window) -> list[Mapping[str, Any]]:
        """The polygons whose box meets a window, as GeoJSON geometries."""
        left, top, right, bottom = self._boxes.T
        meets = (left <= window.col_stop) & (right >= window.col)
        meets &= (top <= window.row_stop) & (bottom >= window.row)
        found = np.flatnonzero(meets)
        return [{"type": "Polygon", "coordinates": self.polygons[index]} for index in found]

    def inside(self, window: Window) -> Valid:
        """Where the centres of a window's pixels are inside (h, w)."""
        shapes: Sequence[Any] = self.touching(window)
        ids = [1] * len(shapes)
        return vector_reader.burn(shapes, ids, window, fill=0, all_touched=False) > 0

    def tiles(self, grid: Grid) -> TileSelection:
        """The tiles that hold a pixel of the area."""
        if not self.polygons:
            return TileSelection.of(grid, ())
        crossed = self._touched(grid, "MultiLineString", list(chain(*self.polygons)))
        touched = self._touched(grid, "MultiPolygon", list(self.polygons))
        # A tile that no outline crosses need not be drawn pixel by pixel.
        tiles = (Tile(row, col) for row, col in np.argwhere(touched | crossed).tolist())
        found = (tile for tile in tiles if not crossed[tile] or self.inside(grid.core(tile)).any())
        return TileSelection.of(grid, found)

    def _touched(self, grid: Grid, kind: str, coordinates: list[Any]) -> Valid:
        """The tiles (rows, columns) that polygons or their outlines touch."""
        shape = {"type": kind, "coordinates": coordinates}
        place = Affine.scale(grid.core_px)
        drawn = rasterize([shape], out_shape=grid.shape, transform=place, all_touched=True)
        found: Valid = drawn > 0
        return found


def describe(aoi: str, crs: str | None, raster: RasterHeader) -> Area:
    """The area that a job names, over ``raster``.

    Raises:
        JobError: it is no file, WKT or box; its CRS is unknown; it is invalid or empty; it lies
            off the raster, or the two cannot be laid over each other.
        SourceError: its file cannot be read.
    """
    area = Area(tuple(aoi_geometry.in_pixels(aoi, crs, raster)))
    if not area.tiles(Grid(raster.height, raster.width, LOOK_PX)):
        raise JobError(
            f"aoi {shortened(aoi)}: holds no pixel of {raster.url}; check that it lies over the "
            "raster, and its CRS (--aoi-crs)"
        )
    return area


def named(aoi: str, crs: str | None) -> str:
    """The area as a job names it, for provenance."""
    return f"{aoi[:MOST_NAMED]} {crs or ''}".rstrip()


def save(workspace: str, area: Area) -> None:
    """Put the polygons where every worker finds them."""
    object_store.write_bytes(f"{workspace}/{AREA}", area.text.encode())


def cut(valid: Valid, workspace: str, digest: str | None, window: Window) -> Valid:
    """The ``valid`` pixels (h, w) of a window inside the saved area; all where there is none."""
    return valid & _saved(workspace, digest).inside(window) if digest else valid


@lru_cache(maxsize=8)
def _saved(workspace: str, _digest: str) -> Area:
    return Area(tuple(json.loads(object_store.read_bytes(f"{workspace}/{AREA}"))))
