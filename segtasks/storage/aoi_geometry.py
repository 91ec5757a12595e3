"""From what a user calls the area of interest to polygons in pixels of a raster.

An edge that is straight in one CRS bends in another: before it is reprojected it is cut, as often
as the bend takes.

    file, WKT, box --> shapes in their CRS --> cut to the raster's surroundings --> bends --> pixels
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import array_bounds
from rasterio.warp import transform, transform_bounds

from segtasks.errors import JobError
from segtasks.raster.header import RasterHeader
from segtasks.storage import vector_reader
from segtasks.storage.gdal import GDAL_ERRORS

BEND_PX = 0.01
"""A cut edge may lie this far from the true one."""
FIRST_CUTS, MOST_HALVINGS = 8, 16
SURROUNDINGS = 0.05
"""Kept of the area beyond the raster, as a share of its size: far away CRSs know no coordinates."""
SHOWN = 60
POLYGONS = ("Polygon", "MultiPolygon")
NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
BOX = re.compile(",".join([NUMBER] * 4))
WKT = re.compile(r"\s*(SRID|POINT|LINE|POLYGON|MULTI|GEOMETRY|CURVE)", re.IGNORECASE)
Points = npt.NDArray[np.float64]
"""(n, 2): x, y."""


def in_pixels(aoi: str, crs: str | None, raster: RasterHeader) -> Iterator[list[list[list[float]]]]:
    """Each polygon as its outer ring and its holes, (col, row).

    Raises:
        JobError: what the area is, or its CRS, cannot be understood or laid over ``raster``.
        SourceError: its file cannot be read.
    """
    shapes, own = _shapes(aoi, raster)
    source = _crs(crs) if crs else own
    target = CRS.from_wkt(raster.crs_wkt) if raster.crs_wkt else None
    _require_place(aoi, source, target, raster)
    pixels = ~Affine(*(raster.transform or Affine.identity()))
    is_other = source is not None and source != target
    for polygon in _polygons(aoi, _near(shapes, source, raster) if is_other else shapes):
        rings = [np.array(ring.coords)[:, :2] for ring in (polygon.exterior, *polygon.interiors)]
        bent = [_bent(aoi, ring, source, target, pixels) if is_other else ring for ring in rings]
        yield [_moved(ring, pixels).tolist() for ring in bent]


def shortened(aoi: str) -> str:
    """An area in a message: WKT may be long."""
    return aoi if len(aoi) <= SHOWN else f"{aoi[:SHOWN]}…"


def _shapes(aoi: str, raster: RasterHeader) -> tuple[Sequence[Any], CRS | None]:
    """Valid shapes and their CRS, unless a job says another."""
    if BOX.fullmatch(aoi):
        return [_box(aoi)], _own(raster)
    if vector_reader.is_vector(aoi):
        found = vector_reader.describe(aoi)
        own = CRS.from_wkt(found.crs_wkt) if found.crs_wkt else None
        return _checked(aoi, vector_reader.everything(found)), own
    if WKT.match(aoi):
        return _checked(aoi, [_from_wkt(aoi)]), _own(raster)
    raise JobError(
        f"aoi {shortened(aoi)}: is no vector file ({', '.join(vector_reader.SUFFIXES)}), WKT or "
        "box; a box is MINX,MINY,MAXX,MAXY"
    )


def _own(raster: RasterHeader) -> CRS | None:
    return CRS.from_wkt(raster.crs_wkt) if raster.crs_wkt else None


def _box(aoi: str) -> Any:  # noqa: ANN401 - a shapely polygon
    left, bottom, right, top = map(float, aoi.split(","))
    if not (left < right and bottom < top):
        raise JobError(f"aoi {aoi}: is empty; give MINX,MINY,MAXX,MAXY, each MIN below its MAX")
    return _shapely(aoi).box(left, bottom, right, top)


def _from_wkt(aoi: str) -> Any:  # noqa: ANN401 - a shapely geometry
    shapely = _shapely(aoi)
    try:
        return shapely.from_wkt(aoi.rpartition(";")[2])
    except shapely.errors.GEOSException as error:
        reason = " ".join(str(error).split())
        raise JobError(f"aoi {shortened(aoi)}: is no WKT ({reason}); check its brackets") from None


def _checked(aoi: str, shapes: Sequence[Any]) -> Sequence[Any]:
    """Polygons without faults; lines and points have no inside."""
    filled = [shape for shape in shapes if shape is not None and not shape.is_empty]
    if not filled:
        raise JobError(f"aoi {shortened(aoi)}: is empty; give at least one polygon")
    for index, shape in enumerate(filled, start=1):
        name = f"aoi {shortened(aoi)}: shape {index} of {len(filled)}"
        if shape.geom_type not in POLYGONS:
            raise JobError(f"{name} is a {shape.geom_type}; give polygons")
        if not shape.is_valid:
            reason = _shapely(aoi).is_valid_reason(shape)
            raise JobError(f"{name} is invalid ({reason}); mend it (QGIS: Fix geometries)")
    return filled


def _crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        reason = " ".join(str(error).split())
        raise JobError(f"aoi_crs {text}: unknown ({reason}); give one such as EPSG:4326") from None


def _require_place(aoi: str, source: CRS | None, target: CRS | None, raster: RasterHeader) -> None:
    """Refuse what cannot be laid over the raster."""
    name = f"aoi {shortened(aoi)}"
    if raster.transform is None and (source or target or raster.gcps or raster.rpcs):
        raise JobError(
            f"{name}: {raster.url} has no geotransform to lay it over; warp the raster first "
            "(gdalwarp)"
        )
    if source and not target:
        raise JobError(
            f"{name}: has a CRS, {raster.url} has none; write it into the raster (rio edit-info "
            "--crs), or give a box or WKT in the raster's own coordinates"
        )
    if target and not source:
        raise JobError(f"{name}: does not say its CRS; give --aoi-crs")


def _near(shapes: Sequence[Any], source: CRS | None, raster: RasterHeader) -> list[Any]:
    """What of the shapes is near the raster: another CRS may have no coordinates far away."""
    bounds = array_bounds(raster.height, raster.width, Affine(*(raster.transform or ())))
    try:
        found = transform_bounds(_own(raster), source, *bounds, densify_pts=101)
    except GDAL_ERRORS:
        return list(shapes)
    left, bottom, right, top = found
    if not np.isfinite(found).all() or left >= right:  # across the date line
        return list(shapes)
    more_x, more_y = SURROUNDINGS * (right - left), SURROUNDINGS * (top - bottom)
    import shapely  # noqa: PLC0415 - comes with geopandas, which is an extra

    around = shapely.box(left - more_x, bottom - more_y, right + more_x, top + more_y)
    return [shape if around.contains(shape) else shape.intersection(around) for shape in shapes]


def _polygons(aoi: str, shapes: Sequence[Any]) -> Iterator[Any]:
    """The polygons that shapes consist of; cutting may have left lines and points."""
    for part in _shapely(aoi).get_parts(shapes):
        for each in getattr(part, "geoms", [part]):
            if each.geom_type == "Polygon" and not each.is_empty:
                yield each


def _bent(aoi: str, ring: Points, source: CRS | None, target: CRS | None, pixels: Affine) -> Points:
    """A ring in the other CRS, cut until the middles of its edges lie where they belong."""
    shares = np.linspace(0, 1, FIRST_CUTS, endpoint=False)[:, None]
    steps = ring[:-1, None] + shares * np.diff(ring, axis=0)[:, None]
    cut = np.vstack([steps.reshape(-1, 2), ring[-1:]])
    for _ in range(MOST_HALVINGS):
        there = _transformed(aoi, cut, source, target)
        middles = (cut[:-1] + cut[1:]) / 2
        true = _moved(_transformed(aoi, middles, source, target), pixels)
        drawn = _moved((there[:-1] + there[1:]) / 2, pixels)
        far = np.flatnonzero(np.abs(true - drawn).max(axis=1) > BEND_PX)
        if not far.size:
            break
        cut = np.insert(cut, far + 1, middles[far], axis=0)
    return _transformed(aoi, cut, source, target)


def _transformed(aoi: str, points: Points, source: CRS | None, target: CRS | None) -> Points:
    try:
        found = np.array(transform(source, target, points[:, 0], points[:, 1])).T
    except GDAL_ERRORS as error:
        raise JobError(f"aoi {shortened(aoi)}: no way to the raster's CRS ({error})") from None
    if not np.isfinite(found).all():
        raise JobError(
            f"aoi {shortened(aoi)}: reaches where the raster's CRS has no coordinates; check its "
            "CRS (--aoi-crs)"
        )
    return found


def _moved(points: Points, place: Affine) -> Points:
    """Points (n, 2) by an affine transform."""
    x, y = points.T
    return np.stack([place.a * x + place.b * y + place.c, place.d * x + place.e * y + place.f], 1)


def _shapely(aoi: str) -> Any:  # noqa: ANN401 - the module
    try:
        import shapely  # noqa: PLC0415 - an extra
    except ImportError:
        raise JobError(
            f"aoi {shortened(aoi)}: areas need shapely; pip install 'segtasks[vectors]'"
        ) from None
    return shapely
