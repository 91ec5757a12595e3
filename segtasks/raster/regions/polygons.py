"""Polygons from rings on the grid of pixel corners, in the coordinates of the raster's CRS."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

Transform = tuple[float, float, float, float, float, float]
Rings = Sequence[Sequence[tuple[int, int]]]
"""The shell and the holes of one region in any order, each vertex (row, column)."""


def wkb(regions: Sequence[Rings], transform: Transform | None) -> list[bytes]:
    """Return one polygon per region as WKB, with shells anticlockwise.

    Without a ``transform``, x is the column and y the row.
    """
    shapes = [_polygon(rings, transform) for rings in regions]
    return list(shapely.to_wkb(shapely.orient_polygons(np.array(shapes, object))))


def _polygon(rings: Rings, transform: Transform | None) -> shapely.Polygon:
    """Build a polygon whose shell is the ring of the largest area, which holds all others."""
    corners = [np.array(ring, np.float64) for ring in rings]
    shell = max(range(len(corners)), key=lambda i: _area(corners[i]))
    placed = [_map_coordinates(ring, transform) for ring in corners]
    return shapely.Polygon(placed[shell], [*placed[:shell], *placed[shell + 1 :]])


def _area(ring: npt.NDArray[np.float64]) -> float:
    rows, cols = ring[:, 0], ring[:, 1]
    return abs(float(np.sum(rows * np.roll(cols, -1) - cols * np.roll(rows, -1))))


def _map_coordinates(
    ring: npt.NDArray[np.float64], transform: Transform | None
) -> npt.NDArray[np.float64]:
    """Return (x, y) of each (row, column), both (n, 2)."""
    a, b, c, d, e, f = transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    rows, cols = ring[:, 0], ring[:, 1]
    return np.stack([a * cols + b * rows + c, d * cols + e * rows + f], axis=1)
