"""Where a raster lies on earth: its outline as GeoJSON, and the code of its CRS."""

from itertools import pairwise
from typing import Any

import antimeridian
import numpy as np
import numpy.typing as npt
import shapely
from rasterio import Affine
from rasterio.control import GroundControlPoint as RasterioGcp
from rasterio.crs import CRS
from rasterio.transform import from_gcps
from rasterio.warp import transform
from shapely.geometry import shape

from segtasks.raster.header import RasterHeader
from segtasks.storage.gdal import GDAL_ERRORS

Geometry = dict[str, Any]
Floats = npt.NDArray[np.float64]
POINTS_PER_SIDE = 21  # a straight side is in general a curve in longitude and latitude
STRAIGHT = 1e-6  # degrees, 0.1 m: a side that deviates less from a line keeps only its ends
DECIMALS = 7  # of a degree: a centimetre
HALF_TURN = 180.0
_LONGITUDE_LATITUDE = CRS.from_user_input("OGC:CRS84")


def footprint(raster: RasterHeader) -> Geometry | None:
    """Return the outline of a raster in longitude and latitude, degrees.

    Rings run counterclockwise (RFC 7946, 3.1.6) and are cut at 180 degrees (3.1.9). The polygon is
    not valid where a pole lies exactly on the border of the raster.

    Returns:
        A GeoJSON Polygon, or a MultiPolygon where the outline crosses the antimeridian. ``None``
        where the raster has neither a geotransform nor control points, no CRS, or a local one.
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
    parts = [
        [np.array(part.exterior.coords).round(DECIMALS).tolist()]
        for part in shapely.get_parts(_outline(np.array(lon), np.array(lat)))
    ]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def crs_code(raster: RasterHeader) -> str | None:
    """Return AUTHORITY:CODE of the raster's CRS, ``None`` if it has none."""
    named = CRS.from_wkt(raster.crs_wkt).to_authority() if raster.crs_wkt else None
    return ":".join(named) if named else None


def _affine(raster: RasterHeader) -> Affine | None:
    """Return the transform from pixels to the CRS; control points give their least-squares fit."""
    if raster.transform:
        return Affine(*raster.transform)
    points = [RasterioGcp(p.row, p.col, p.x, p.y, p.z) for p in raster.gcps]
    return from_gcps(points) if points else None


def _border(height: int, width: int) -> tuple[Floats, Floats]:
    """Return columns and rows of a closed ring around all pixels, down the left side first."""
    corners = [(0, 0), (0, height), (width, height), (width, 0), (0, 0)]
    sides = [np.linspace(*side, POINTS_PER_SIDE)[:-1] for side in pairwise(corners)]
    cols, rows = np.concatenate([*sides, [corners[0]]]).T
    return cols, rows


def _outline(lon: Floats, lat: Floats) -> shapely.Polygon | shapely.MultiPolygon:
    """Return the area within a closed ring, with longitudes from -180 to 180 degrees."""
    unwrapped = np.unwrap(lon, period=2 * HALF_TURN)
    unwrapped -= 2 * HALF_TURN * ((unwrapped.min() + HALF_TURN) // (2 * HALF_TURN))
    goes_around = abs(unwrapped[-1] - unwrapped[0]) > HALF_TURN
    if not goes_around and unwrapped.max() <= HALF_TURN:
        ring = _without_straight_sides(np.stack([unwrapped, lat], axis=1))
        return shapely.orient_polygons(shapely.Polygon(ring))
    ring = np.stack([lon, lat], axis=1)
    # Edges are straight lines in longitude and latitude (RFC 7946, 3.1.1), not great circles.
    cut = antimeridian.fix_polygon(shapely.Polygon(ring), fix_winding=True, great_circle=False)
    # A raster that spans 360 degrees or more is cut into parts that touch or overlap.
    joined = shapely.union_all(shapely.get_parts(cut), grid_size=10.0**-DECIMALS)
    return shapely.orient_polygons(joined.simplify(STRAIGHT))


def _without_straight_sides(ring: Floats) -> Floats:
    """Return only the corners of a ring (N, 2) whose sides are all straight."""
    steps = POINTS_PER_SIDE - 1
    corners = ring[::steps]
    at = np.arange(len(ring)) / steps
    straight = [np.interp(at, np.arange(len(corners)), axis) for axis in corners.T]
    return corners if np.ptp(ring - np.transpose(straight)) < STRAIGHT else ring


def bounds(geometry: Geometry) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a footprint, degrees.

    West is greater than east across the antimeridian (RFC 7946, 5.2). ``antimeridian.bbox`` is not
    used: of several parts on one side of the antimeridian it takes the one that extends least.
    """
    outline = shape(geometry)
    west, south, east, north = outline.bounds
    if geometry["type"] == "MultiPolygon":
        boxes = [part.bounds for part in outline.geoms]
        west = min((box[0] for box in boxes if box[2] == HALF_TURN), default=west)
        east = max((box[2] for box in boxes if box[0] == -HALF_TURN), default=east)
    return west, south, east, north
