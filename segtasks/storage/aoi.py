"""The area of interest: polygons in pixels of a raster, and the pixels and tiles inside them.

A pixel is inside if its centre lies in a polygon, as in GDAL's rasterize. The polygons are stored
in the workspace because workers cannot read files on the user's machine; tasks carry only their
digest.
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
from segtasks.storage.aoi_geometry import shorten
from segtasks.storage.raster_reader import Valid
from segtasks.storage.workspace import AREA

CHECK_PX = 1024
"""Side of the blocks by which an area is checked for pixels of the raster."""
MAX_TAG_LENGTH = 1000
"""Number of characters of the area that are written into the mask's tags."""
Ring = list[list[float]]
"""A closed ring of (col, row)."""


@dataclass(frozen=True)
class Area:
    """An area of interest.

    Attributes:
        polygons: each one as its outer ring and its holes, (col, row) in pixels of a raster.
    """

    polygons: tuple[list[Ring], ...]

    @cached_property
    def text(self) -> str:
        """The polygons as JSON, which preserves every number exactly."""
        return json.dumps(self.polygons)

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the polygons."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def _boxes(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The box (left, top, right, bottom) of each polygon (n, 4)."""
        rings = [np.array(rings[0]) for rings in self.polygons]
        return np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in rings]).reshape(-1, 4)

    def touching(self, window: Window) -> list[Mapping[str, Any]]:
        """Return the polygons whose box touches a window, as GeoJSON geometries."""
        left, top, right, bottom = self._boxes.T
        meets = (left <= window.col_stop) & (right >= window.col)
        meets &= (top <= window.row_stop) & (bottom >= window.row)
        found = np.flatnonzero(meets)
        return [{"type": "Polygon", "coordinates": self.polygons[index]} for index in found]

    def inside(self, window: Window) -> Valid:
        """Return which pixels (h, w) of a window have their centre inside the area."""
        shapes: Sequence[Any] = self.touching(window)
        ids = [1] * len(shapes)
        return vector_reader.burn(shapes, ids, window, fill=0, all_touched=False) > 0

    def tiles(self, grid: Grid) -> TileSelection:
        """Select the tiles that contain a pixel of the area."""
        if not self.polygons:
            return TileSelection.of(grid, ())
        crossed = self._touched(grid, "MultiLineString", list(chain(*self.polygons)))
        touched = self._touched(grid, "MultiPolygon", list(self.polygons))
        # A tile that no outline crosses lies inside as a whole, so its pixels need no check.
        tiles = (Tile(row, col) for row, col in np.argwhere(touched | crossed).tolist())
        found = (tile for tile in tiles if not crossed[tile] or self.inside(grid.core(tile)).any())
        return TileSelection.of(grid, found)

    def _touched(self, grid: Grid, kind: str, coordinates: list[Any]) -> Valid:
        """Return which tiles (rows, columns) polygons or their outlines touch."""
        shape = {"type": kind, "coordinates": coordinates}
        scale = Affine.scale(grid.core_px)
        burnt = rasterize([shape], out_shape=grid.shape, transform=scale, all_touched=True)
        touched: Valid = burnt > 0
        return touched


def describe(aoi: str, crs: str | None, raster: RasterHeader) -> Area:
    """Read the area of interest of a job.

    Args:
        aoi: a vector file, WKT, or a box MINX,MINY,MAXX,MAXY.
        crs: CRS of the area; ``None`` takes that of the file or the raster.
        raster: the raster in whose pixels the area is given.

    Raises:
        JobError: it is no file, WKT or box; its CRS is unknown; it is invalid or empty; it does
            not overlap the raster, or cannot be transformed to the raster's pixels.
        SourceError: its file cannot be read.
    """
    area = Area(tuple(aoi_geometry.in_pixels(aoi, crs, raster)))
    if not area.tiles(Grid(raster.height, raster.width, CHECK_PX)):
        raise JobError(
            f"aoi {shorten(aoi)}: contains no pixel of {raster.url}; check that it overlaps the "
            "raster, and check its CRS (--aoi-crs)"
        )
    return area


def named(aoi: str, crs: str | None) -> str:
    """Return the area as given in the job, for provenance."""
    return f"{aoi[:MAX_TAG_LENGTH]} {crs or ''}".rstrip()


def save(workspace: str, area: Area) -> None:
    """Write the polygons to the workspace, where every worker can read them."""
    object_store.write_bytes(f"{workspace}/{AREA}", area.text.encode())


def cut(valid: Valid, workspace: str, digest: str | None, window: Window) -> Valid:
    """Restrict the ``valid`` pixels (h, w) of a window to the saved area, if there is one."""
    return valid & _saved(workspace, digest).inside(window) if digest else valid


@lru_cache(maxsize=8)
def _saved(workspace: str, _digest: str) -> Area:
    return Area(tuple(json.loads(object_store.read_bytes(f"{workspace}/{AREA}"))))
