"""Polygons of rings on the lattice of pixel corners, in the raster's own coordinates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Transform = tuple[float, float, float, float, float, float]
Rings = Sequence[Sequence[tuple[int, int]]]
"""Of one piece: a shell and its holes in any order, (row, column)."""


def wkb(pieces: Sequence[Rings], transform: Transform | None) -> list[bytes]:
    """One polygon per piece as WKB, shells anticlockwise; x is the column, y the row without a
    ``transform``.
    """  # noqa: D205 - one sentence
    import shapely  # noqa: PLC0415 - an extra

    made = [_polygon(rings, transform, shapely) for rings in pieces]
    return list(shapely.to_wkb(shapely.orient_polygons(np.array(made, object))))


def _polygon(rings: Rings, transform: Transform | None, shapely: Any) -> Any:  # noqa: ANN401 - an extra
    """The ring that holds all others is the shell: the one of the largest area."""
    lattice = [np.array(ring, np.float64) for ring in rings]
    shell = max(range(len(lattice)), key=lambda i: _area(lattice[i]))
    placed = [_placed(ring, transform) for ring in lattice]
    return shapely.Polygon(placed[shell], [*placed[:shell], *placed[shell + 1 :]])


def _area(ring: npt.NDArray[np.float64]) -> float:
    rows, cols = ring[:, 0], ring[:, 1]
    return abs(float(np.sum(rows * np.roll(cols, -1) - cols * np.roll(rows, -1))))


def _placed(ring: npt.NDArray[np.float64], transform: Transform | None) -> npt.NDArray[np.float64]:
    """(x, y) of (row, column)."""
    a, b, c, d, e, f = transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    rows, cols = ring[:, 0], ring[:, 1]
    return np.stack([a * cols + b * rows + c, d * cols + e * rows + f], axis=1)
