"""Read an area of interest and transform it to polygons in pixels of a raster.

An edge that is straight in one CRS is curved in another. Before it is reprojected, it is therefore
divided until the pieces are straight enough.

    file, WKT, box --> shapes in their CRS --> clip around the raster --> densify, reproject
                                                                              --> pixels
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import array_bounds
from rasterio.warp import transform, transform_bounds

from segtasks.errors import JobError
from segtasks.raster.header import RasterHeader
from segtasks.storage import vector_reader
from segtasks.storage.gdal import GDAL_ERRORS

MAX_DEVIATION_PX = 0.01
"""How far a divided edge may lie from the true curve."""
FIRST_CUTS, MAX_HALVINGS = 8, 16
SURROUNDINGS = 0.05
"""Width of the strip around the raster in which the area is kept, as a fraction of the raster's
size. Farther away, the raster's CRS may have no coordinates."""
SHOWN = 60
"""Number of characters of an area that messages show."""
POLYGONS = ("Polygon", "MultiPolygon")
NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
BOX = re.compile(",".join([NUMBER] * 4))
WKT = re.compile(r"\s*(SRID|POINT|LINE|POLYGON|MULTI|GEOMETRY|CURVE)", re.IGNORECASE)
Points = npt.NDArray[np.float64]
"""(n, 2): x, y."""


def in_pixels(aoi: str, crs: str | None, raster: RasterHeader) -> Iterator[list[list[list[float]]]]:
    """Yield each polygon of the area as its outer ring and its holes, (col, row) in pixels.

    Args:
        aoi: a vector file, WKT, or a box MINX,MINY,MAXX,MAXY.
        crs: CRS of the area; ``None`` takes that of the file or the raster.
        raster: the raster in whose pixels the rings are.

    Raises:
        JobError: the area or its CRS is not understood, or cannot be transformed to pixels.
        SourceError: its file cannot be read.
    """
    shapes, shapes_crs = _shapes(aoi, raster)
    source = _crs(crs) if crs else shapes_crs
    target = CRS.from_wkt(raster.crs_wkt) if raster.crs_wkt else None
    _require_place(aoi, source, target, raster)
    pixels = ~Affine(*(raster.transform or Affine.identity()))
    is_other = source is not None and source != target
    for polygon in _polygons(_clipped(shapes, source, raster) if is_other else shapes):
        rings = [np.array(ring.coords)[:, :2] for ring in (polygon.exterior, *polygon.interiors)]
        if is_other:
            rings = [_reproject_ring(aoi, ring, source, target, pixels) for ring in rings]
        yield [_apply_affine(ring, pixels).tolist() for ring in rings]


def shorten(aoi: str) -> str:
    """Shorten an area for a message, since WKT may be long."""
    return aoi if len(aoi) <= SHOWN else f"{aoi[:SHOWN]}…"


def _shapes(aoi: str, raster: RasterHeader) -> tuple[Sequence[Any], CRS | None]:
    """Read the shapes, check that they are valid, and return them with their CRS."""
    if BOX.fullmatch(aoi):
        return [_box(aoi)], _raster_crs(raster)
    if vector_reader.is_vector(aoi):
        layer = vector_reader.describe(aoi)
        layer_crs = CRS.from_wkt(layer.crs_wkt) if layer.crs_wkt else None
        return _checked(aoi, vector_reader.read_all_shapes(layer)), layer_crs
    if WKT.match(aoi):
        return _checked(aoi, [_from_wkt(aoi)]), _raster_crs(raster)
    raise JobError(
        f"aoi {shorten(aoi)}: is no vector file ({', '.join(vector_reader.SUFFIXES)}), WKT or "
        "box; a box is MINX,MINY,MAXX,MAXY"
    )


def _raster_crs(raster: RasterHeader) -> CRS | None:
    return CRS.from_wkt(raster.crs_wkt) if raster.crs_wkt else None


def _box(aoi: str) -> Any:  # noqa: ANN401 - a shapely polygon
    left, bottom, right, top = map(float, aoi.split(","))
    if not (left < right and bottom < top):
        raise JobError(f"aoi {aoi}: is empty; give MINX,MINY,MAXX,MAXY, each MIN below its MAX")
    return shapely.box(left, bottom, right, top)


def _from_wkt(aoi: str) -> Any:  # noqa: ANN401 - a shapely geometry
    try:
        return shapely.from_wkt(aoi.rpartition(";")[2])
    except shapely.errors.GEOSException as error:
        reason = " ".join(str(error).split())
        raise JobError(f"aoi {shorten(aoi)}: is no WKT ({reason}); check its brackets") from None


def _checked(aoi: str, shapes: Sequence[Any]) -> Sequence[Any]:
    """Return the shapes that are not empty, all of which must be valid polygons."""
    filled = [shape for shape in shapes if shape is not None and not shape.is_empty]
    if not filled:
        raise JobError(f"aoi {shorten(aoi)}: is empty; give at least one polygon")
    for index, shape in enumerate(filled, start=1):
        name = f"aoi {shorten(aoi)}: shape {index} of {len(filled)}"
        if shape.geom_type not in POLYGONS:
            raise JobError(f"{name} is a {shape.geom_type}; give polygons")
        if not shape.is_valid:
            reason = shapely.is_valid_reason(shape)
            raise JobError(f"{name} is invalid ({reason}); repair it (QGIS: Fix geometries)")
    return filled


def _crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        reason = " ".join(str(error).split())
        raise JobError(f"aoi_crs {text}: unknown ({reason}); give one such as EPSG:4326") from None


def _require_place(aoi: str, source: CRS | None, target: CRS | None, raster: RasterHeader) -> None:
    """Refuse an area that cannot be transformed to pixels of the raster."""
    name = f"aoi {shorten(aoi)}"
    if raster.transform is None and (source or target or raster.gcps or raster.rpcs):
        raise JobError(
            f"{name}: {raster.url} has no geotransform, which an area needs; warp the raster first "
            "(gdalwarp)"
        )
    if source and not target:
        raise JobError(
            f"{name}: has a CRS, {raster.url} has none; write it into the raster (rio edit-info "
            "--crs), or give a box or WKT in the raster's own coordinates"
        )
    if target and not source:
        raise JobError(f"{name}: has no CRS; give --aoi-crs")


def _clipped(shapes: Sequence[Any], source: CRS | None, raster: RasterHeader) -> list[Any]:
    """Clip shapes to the raster's surroundings; its CRS may have no coordinates farther away."""
    bounds = array_bounds(raster.height, raster.width, Affine(*(raster.transform or ())))
    try:
        box = transform_bounds(_raster_crs(raster), source, *bounds, densify_pts=101)
    except GDAL_ERRORS:
        return list(shapes)
    left, bottom, right, top = box
    if not np.isfinite(box).all() or left >= right:  # across the date line
        return list(shapes)
    margin_x, margin_y = SURROUNDINGS * (right - left), SURROUNDINGS * (top - bottom)
    around = shapely.box(left - margin_x, bottom - margin_y, right + margin_x, top + margin_y)
    return [shape if around.contains(shape) else shape.intersection(around) for shape in shapes]


def _polygons(shapes: Sequence[Any]) -> Iterator[Any]:
    """Yield the polygons of which shapes consist, without lines and points left by clipping."""
    for part in shapely.get_parts(shapes):
        for each in getattr(part, "geoms", [part]):
            if each.geom_type == "Polygon" and not each.is_empty:
                yield each


def _reproject_ring(
    aoi: str, ring: Points, source: CRS | None, target: CRS | None, pixels: Affine
) -> Points:
    """Reproject a ring; edges are halved until their midpoints are within `MAX_DEVIATION_PX`."""
    fractions = np.linspace(0, 1, FIRST_CUTS, endpoint=False)[:, None]
    steps = ring[:-1, None] + fractions * np.diff(ring, axis=0)[:, None]
    points = np.vstack([steps.reshape(-1, 2), ring[-1:]])
    for _ in range(MAX_HALVINGS):
        projected = _reproject(aoi, points, source, target)
        midpoints = (points[:-1] + points[1:]) / 2
        exact = _apply_affine(_reproject(aoi, midpoints, source, target), pixels)
        straight = _apply_affine((projected[:-1] + projected[1:]) / 2, pixels)
        is_far = np.abs(exact - straight).max(axis=1) > MAX_DEVIATION_PX
        if not is_far.any():
            break
        far = np.flatnonzero(is_far)
        points = np.insert(points, far + 1, midpoints[far], axis=0)
    return _reproject(aoi, points, source, target)


def _reproject(aoi: str, points: Points, source: CRS | None, target: CRS | None) -> Points:
    try:
        projected = np.array(transform(source, target, points[:, 0], points[:, 1])).T
    except GDAL_ERRORS as error:
        raise JobError(
            f"aoi {shorten(aoi)}: cannot be transformed to the raster's CRS ({error})"
        ) from None
    if not np.isfinite(projected).all():
        raise JobError(
            f"aoi {shorten(aoi)}: extends to where the raster's CRS has no coordinates; check its "
            "CRS (--aoi-crs)"
        )
    return projected


def _apply_affine(points: Points, affine: Affine) -> Points:
    """Apply an affine transform to points (n, 2)."""
    x, y = points.T
    columns = affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f
    return np.stack(columns, axis=1)
