"""Where a raster lies on earth: its outline as GeoJSON, its CRS as catalogues name it."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.control import GroundControlPoint as RasterioGcp
from rasterio.crs import CRS
from rasterio.transform import from_gcps
from rasterio.warp import transform

from segtasks.raster.header import RasterHeader
from segtasks.storage.gdal import GDAL_ERRORS

Geometry = dict[str, Any]
Floats = npt.NDArray[np.float64]
POINTS_PER_SIDE = 21
"""A straight border is a curve in longitude and latitude: it is followed by so many points,"""
STRAIGHT = 1e-6  # unless it is straight to this many degrees: 0.1 m
DECIMALS = 7  # of a degree: a centimetre
HALF_TURN = 180.0
_LONGITUDE_LATITUDE = CRS.from_user_input("OGC:CRS84")


def footprint(raster: RasterHeader) -> Geometry | None:
    """The outline as a GeoJSON Polygon, or a MultiPolygon where it crosses the antimeridian.

    Rings run counterclockwise (RFC 7946, 3.1.6) and are cut at 180 degrees (3.1.9). ``None`` where
    a raster does not say where it lies, or its CRS is a local one.
    """
    affine = _affine(raster)
    if affine is None or raster.crs_wkt is None:
        return None
    xs, ys = affine @ _border(raster.height, raster.width)
    try:
        lon, lat = transform(CRS.from_wkt(raster.crs_wkt), _LONGITUDE_LATITUDE, xs, ys)
    except GDAL_ERRORS:
        return None
    if not np.isfinite([lon, lat]).all():
        return None
    rings = _cut(_plain(_unwrapped(np.array(lon), np.array(lat))))
    parts = [[_counterclockwise(ring).round(DECIMALS).tolist()] for ring in rings]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def crs_code(raster: RasterHeader) -> str | None:
    """AUTHORITY:CODE of the CRS, if it has one."""
    named = CRS.from_wkt(raster.crs_wkt).to_authority() if raster.crs_wkt else None
    return ":".join(named) if named else None


def _affine(raster: RasterHeader) -> Affine | None:
    """From pixels to the map; of control points the one that fits them best."""
    if raster.transform:
        return Affine(*raster.transform)
    points = [RasterioGcp(p.row, p.col, p.x, p.y, p.z) for p in raster.gcps]
    return from_gcps(points) if points else None


def _border(height: int, width: int) -> tuple[Floats, Floats]:
    """Closed ring around all pixels, as columns and rows; down the left side first."""
    corners = [(0, 0), (0, height), (width, height), (width, 0), (0, 0)]
    sides = [np.linspace(*side, POINTS_PER_SIDE)[:-1] for side in pairwise(corners)]
    cols, rows = np.concatenate([*sides, [corners[0]]]).T
    return cols, rows


def _plain(ring: Floats) -> Floats:
    """The corners alone, if between them the ring is straight."""
    steps = POINTS_PER_SIDE - 1
    corners = ring[::steps]
    at = np.arange(len(ring)) / steps
    straight = [np.interp(at, np.arange(len(corners)), axis) for axis in corners.T]
    is_straight = len(ring) == 4 * steps + 1 and np.ptp(ring - np.transpose(straight)) < STRAIGHT
    return corners if is_straight else ring


def _unwrapped(lon: Floats, lat: Floats) -> Floats:
    """Ring (N, 2) of longitudes without jumps at 180, which may therefore go beyond."""
    ring = np.stack([np.unwrap(lon, period=2 * HALF_TURN), lat], axis=1)
    return ring if abs(ring[-1, 0] - ring[0, 0]) < HALF_TURN else _over_the_pole(ring)


def _over_the_pole(ring: Floats) -> Floats:
    """A ring that goes all around, begun and closed where it crosses the antimeridian."""
    turn = ring[-1] - ring[0]
    low = min(ring[0, 0], ring[-1, 0])
    crossed = np.ceil((low - HALF_TURN) / (2 * HALF_TURN)) * 2 * HALF_TURN + HALF_TURN
    at = int(np.flatnonzero(np.diff(ring[:, 0] >= crossed))[0])
    share = (crossed - ring[at, 0]) / (ring[at + 1, 0] - ring[at, 0])
    start = np.array([[crossed, ring[at, 1] + share * (ring[at + 1, 1] - ring[at, 1])]])
    around = np.concatenate([start, ring[at + 1 :], ring[1 : at + 1] + turn, start + turn])
    pole = np.copysign(90.0, ring[:, 1].mean())
    return np.concatenate([around, [[crossed + turn[0], pole], [crossed, pole]], start])


def _cut(ring: Floats) -> list[Floats]:
    """What of the ring lies in each turn of the earth, in longitudes of -180 to 180."""
    low, high = ring[:, 0].min(), ring[:, 0].max()
    first, last = (np.array([low, high]) + HALF_TURN) // (2 * HALF_TURN)
    parts = []
    for turn in np.arange(first, last + 1):
        shifted = ring - [turn * 2 * HALF_TURN, 0]
        inside = _clipped(_clipped(shifted, HALF_TURN) * [-1, 1], HALF_TURN) * [-1, 1]
        if len(inside) and np.ptp(inside[:, 0]) > 0:
            parts.append(inside)
    return parts


def _clipped(ring: Floats, most: float) -> Floats:
    """What of a closed ring has x <= ``most`` (Sutherland and Hodgman 1974), closed."""
    points: list[Floats] = []
    for start, stop in pairwise(ring):
        if start[0] <= most:
            points.append(start)
        if (start[0] <= most) != (stop[0] <= most):
            share = (most - start[0]) / (stop[0] - start[0])
            points.append(np.array([most, start[1] + share * (stop[1] - start[1])]))
    return np.array([*points, *points[:1]]).reshape(-1, 2)


def _counterclockwise(ring: Floats) -> Floats:
    """The ring, reversed if its signed area is negative."""
    x, y = ring.T
    return ring if np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0 else ring[::-1]


def bounds(geometry: Geometry) -> tuple[float, float, float, float]:
    """West, south, east, north; west is above east across the antimeridian (RFC 7946, 5.2)."""
    is_one = geometry["type"] == "Polygon"
    parts = [geometry["coordinates"]] if is_one else geometry["coordinates"]
    rings = [np.array(part[0]) for part in parts]
    (west, south), (east, north) = (
        np.min([r.min(0) for r in rings], 0),
        np.max([r.max(0) for r in rings], 0),
    )
    turned = sum(np.ptp(ring[:, 0]) for ring in rings)
    if not is_one and turned < 2 * HALF_TURN:
        west, east = rings[0][:, 0].min(), rings[-1][:, 0].max()
    return float(west), float(south), float(east), float(north)
