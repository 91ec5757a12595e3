"""Vector files by windows: the features that may touch one, on a raster's pixel grid, and burnt.

GeoPackage, FlatGeobuf and Shapefile are read through their spatial index, GeoParquet and GeoJSON,
which have none, once and kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize
from rasterio.transform import array_bounds

from segtasks.addresses import public
from segtasks.errors import SourceError
from segtasks.grid import Window
from segtasks.raster import Raster
from segtasks.storage import layers, objects
from segtasks.storage.aligned import footprint_of, reprojected, require_overlap
from segtasks.storage.layers import GEOJSON, LAYER, PARQUET

SUFFIXES = (".gpkg", ".fgb", ".shp", *PARQUET, *GEOJSON)
MARGIN_PX = 64
"""Read around a window: an edge that is straight in one CRS bends in another."""

Box = tuple[float, float, float, float]
"""(left, bottom, right, top)."""


@dataclass(frozen=True)
class Vectors:
    """Header of one layer; ``bounds`` is ``None`` when it is empty."""

    url: str
    path: Path
    layer: str | None
    identity: str
    columns: tuple[str, ...]
    crs_wkt: str | None
    bounds: Box | None


@dataclass(frozen=True)
class Features:
    """Shapes in file order, (col, row) in pixels of a raster; values of a column, None if empty."""

    shapes: Sequence[Any]
    values: Sequence[Any]


def is_vector(url: str) -> bool:
    """Whether ``url`` has the suffix of a vector file."""
    return PurePosixPath(public(url.partition(LAYER)[0])).suffix.lower() in SUFFIXES


def describe(url: str) -> Vectors:
    """Read the header of ``FILE`` or ``FILE|layername=LAYER``.

    Raises:
        SourceError: missing, unreadable, or several layers and none named.
    """
    name, _, asked = url.partition(LAYER)
    path, layer = layers.local(name), asked or None
    identity = objects.identity(str(path))
    if layers.is_kept(path):
        frame = layers.kept(url, str(path), layer, identity)
        columns = frame.columns.drop(frame.geometry.name)
        crs, bounds = frame.crs, frame.total_bounds
    else:
        layer, info = layers.info(url, path, layer)
        columns, crs, bounds = info["fields"], info["crs"], info["total_bounds"]
    names = tuple(str(column) for column in columns)
    return Vectors(url, path, layer, identity, names, _wkt(crs), _box(bounds))


def require_place(vectors: Vectors, like: Raster) -> None:
    """Refuse a layer that cannot be laid over ``like``, or lies beside it.

    Raises:
        SourceError: ``like`` has no geotransform, only one of the two has a CRS, there is no way
            between their CRSs, or they share no pixel.
    """
    if like.transform is None:
        raise SourceError(
            f"{like.url} has no geotransform, so {vectors.url} cannot be laid over it; "
            "georeference it, or give labels as a raster"
        )
    if (vectors.crs_wkt is None) != (like.crs_wkt is None):
        bare, other = vectors.url, like.url
        if like.crs_wkt is None:
            bare, other = other, bare
        raise SourceError(f"{bare} has no CRS, {other} has one; write the CRS into the first")
    if vectors.bounds:
        require_overlap(vectors.url, footprint_of(vectors.bounds, vectors.crs_wkt, like), like)


def features(vectors: Vectors, like: Raster, window: Window, column: str | None) -> Features:
    """The features that may touch a window of ``like``, in file order.

    Raises:
        SourceError: the file cannot be read.
    """
    frame = _found(vectors, _search_box(vectors, like, window), column)
    if frame.crs is not None:
        frame = frame.to_crs(like.crs_wkt)
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    inverse = ~Affine(*(like.transform or ()))
    shapes = frame.geometry.affine_transform(
        [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f]
    )
    return Features(list(shapes), _values(frame, column))


def everything(vectors: Vectors) -> tuple[Any, ...]:
    """All shapes of a layer, in file order and in its own CRS.

    Raises:
        SourceError: the file cannot be read.
    """
    return tuple(layers.frame(vectors.url, vectors.path, vectors.layer, {}).geometry)


def burn(
    shapes: Sequence[Any], ids: Sequence[int], window: Window, *, fill: int, all_touched: bool
) -> NDArray[np.uint8]:
    """Class ids (h, w) of a window: of the last shape over a pixel's centre, else ``fill``.

    Args:
        shapes: (col, row) in pixels of the whole raster, so that windows meet without seams.
        ids: of each shape.
        window: what to draw.
        fill: where no shape is.
        all_touched: pixels a shape's outline touches count too (GDAL's ``-at``).
    """
    out = np.full(window.shape, fill, np.uint8)
    if shapes:
        corner = Affine.translation(window.col, window.row)
        pairs = list(zip(shapes, ids, strict=True))
        rasterize(pairs, out=out, transform=corner, all_touched=all_touched)
    return out


def _values(frame: Any, column: str | None) -> list[Any]:  # noqa: ANN401 - a GeoDataFrame
    if column is None:
        return [None] * len(frame)
    values = frame[column].astype(object)
    return list(values.where(values.notna(), None))


def _search_box(vectors: Vectors, like: Raster, window: Window) -> Box:
    around = window.grow(MARGIN_PX)
    place = Affine(*(like.transform or ())) @ Affine.translation(around.col, around.row)
    bounds = array_bounds(around.height, around.width, place)
    return reprojected(bounds, like.crs_wkt, vectors.crs_wkt, like.url)


def _found(vectors: Vectors, box: Box, column: str | None) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """The features whose boxes meet ``box``, in file order: an index has an order of its own."""
    if layers.is_kept(vectors.path):
        frame = layers.kept(vectors.url, str(vectors.path), vectors.layer, vectors.identity)
        return frame.iloc[np.sort(frame.sindex.intersection(box))]
    options = {"columns": [column] if column else [], "bbox": box, "fid_as_index": True}
    return layers.frame(vectors.url, vectors.path, vectors.layer, options).sort_index()


def _wkt(crs: Any) -> str | None:  # noqa: ANN401 - pyproj's CRS, a text or None
    from pyproj import CRS  # noqa: PLC0415 - comes with geopandas, which is an extra

    return None if crs is None else str(CRS.from_user_input(crs).to_wkt())


def _box(bounds: Any) -> Box | None:  # noqa: ANN401 - an array, a tuple or None
    if bounds is None or not np.isfinite(bounds).all():
        return None
    left, bottom, right, top = (float(value) for value in bounds)
    return left, bottom, right, top
