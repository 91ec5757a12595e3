"""Read vector files by windows: the features that may touch a window, in pixels of a raster.

GeoPackage, FlatGeobuf and Shapefile are read through their spatial index. GeoParquet and GeoJSON
have no index, so they are read once and cached.

Needs geopandas: ``pip install 'segtasks[vectors]'``.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize
from rasterio.transform import array_bounds

from segtasks.errors import SourceError, redact_url
from segtasks.raster.grid import Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import local_copy, object_store
from segtasks.storage.align import footprint_of, reproject_bounds, require_overlap

PARQUET, GEOJSON = (".parquet", ".geoparquet"), (".geojson", ".json")
LAYER = "|layername="
"""Separates file and layer, as in QGIS."""
CACHED_FILES = 32
"""Many data sets have one GeoJSON per image."""
SUFFIXES = (".gpkg", ".fgb", ".shp", *PARQUET, *GEOJSON)
MARGIN_PX = 64
"""Margin read around a window, because a straight edge in one CRS is curved in another."""
_read_lock = threading.Lock()

Box = tuple[float, float, float, float]
"""(left, bottom, right, top)."""


@dataclass(frozen=True)
class Vectors:
    """The header of one layer.

    Attributes:
        url: the file, with ``|layername=LAYER`` if the user named a layer.
        path: the local file or copy.
        layer: name of the layer, if the format has layers.
        identity: a string that changes when the content of the file changes.
        columns: names of the attribute columns.
        crs_wkt: CRS as WKT.
        bounds: box of all shapes in that CRS; ``None`` if there are none.
    """

    url: str
    path: Path
    layer: str | None
    identity: str
    columns: tuple[str, ...]
    crs_wkt: str | None
    bounds: Box | None


@dataclass(frozen=True)
class Features:
    """Features in the order of the file.

    Attributes:
        shapes: shapely geometries, (col, row) in pixels of a raster.
        values: the value of one column per feature; ``None`` if it is empty.
    """

    shapes: Sequence[Any]
    values: Sequence[Any]


def is_vector(url: str) -> bool:
    """Return whether ``url`` has the suffix of a vector file."""
    return PurePosixPath(redact_url(url.partition(LAYER)[0])).suffix.lower() in SUFFIXES


def describe(url: str) -> Vectors:
    """Read the header of ``FILE`` or ``FILE|layername=LAYER``.

    Raises:
        SourceError: the file is missing or unreadable, or has several layers and none is named.
    """
    name, _, layer_name = url.partition(LAYER)
    path, layer = _local_file(name), layer_name or None
    identity = object_store.identity(str(path))
    if _has_no_index(path):
        frame = _cached_layer(url, str(path), layer, identity)
        columns = frame.columns.drop(frame.geometry.name)
        crs, bounds = frame.crs, frame.total_bounds
    else:
        layer, info = _read_layer_info(url, path, layer)
        columns, crs, bounds = info["fields"], info["crs"], info["total_bounds"]
    names = tuple(str(column) for column in columns)
    return Vectors(url, path, layer, identity, names, _wkt(crs), _box(bounds))


def require_place(vectors: Vectors, like: RasterHeader) -> None:
    """Refuse a layer that cannot be placed on the grid of ``like`` or does not overlap it.

    Raises:
        SourceError: ``like`` has no geotransform, only one of the two has a CRS, PROJ cannot
            transform between their CRSs, or they share no pixel.
    """
    if like.transform is None:
        raise SourceError(
            f"{like.url} has no geotransform, so {vectors.url} cannot be placed on it; "
            "georeference it, or give labels as a raster"
        )
    if (vectors.crs_wkt is None) != (like.crs_wkt is None):
        without, other = vectors.url, like.url
        if like.crs_wkt is None:
            without, other = other, without
        raise SourceError(f"{without} has no CRS, {other} has one; write the CRS into the first")
    if vectors.bounds:
        require_overlap(vectors.url, footprint_of(vectors.bounds, vectors.crs_wkt, like), like)


def features(vectors: Vectors, like: RasterHeader, window: Window, column: str | None) -> Features:
    """Read the features that may touch a window of ``like``, in the order of the file.

    Args:
        vectors: the layer.
        like: the raster that defines the pixel grid.
        window: a window of ``like``.
        column: the column of which the values are returned, if any.

    Raises:
        SourceError: the file cannot be read.
    """
    frame = _features_in_box(vectors, _search_box(vectors, like, window), column)
    if frame.crs is not None:
        frame = frame.to_crs(like.crs_wkt)
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    inverse = ~Affine(*(like.transform or ()))
    shapes = frame.geometry.affine_transform(
        [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f]
    )
    if column is None:
        return Features(list(shapes), [None] * len(frame))
    values = frame[column].astype(object)
    return Features(list(shapes), list(values.where(values.notna(), None)))


def read_all_shapes(vectors: Vectors) -> tuple[Any, ...]:
    """Read all shapes of a layer, in the order of the file and in its own CRS.

    Raises:
        SourceError: the file cannot be read.
    """
    return tuple(_read_layer(vectors.url, vectors.path, vectors.layer, {}).geometry)


def burn(
    shapes: Sequence[Any], ids: Sequence[int], window: Window, *, fill: int, all_touched: bool
) -> NDArray[np.uint8]:
    """Rasterise shapes: a pixel gets the id of the last shape that contains its centre.

    Args:
        shapes: geometries, (col, row) in pixels of the whole raster, so that windows have no seams.
        ids: class id of each shape.
        window: the window to rasterise.
        fill: class id where there is no shape.
        all_touched: whether a shape also covers the pixels that its outline touches (GDAL's
            ``-at``).

    Returns:
        Class ids (h, w) of the window.
    """
    out = np.full(window.shape, fill, np.uint8)
    if shapes:
        corner = Affine.translation(window.col, window.row)
        pairs = list(zip(shapes, ids, strict=True))
        rasterize(pairs, out=out, transform=corner, all_touched=all_touched)
    return out


def _search_box(vectors: Vectors, like: RasterHeader, window: Window) -> Box:
    around = window.grow(MARGIN_PX)
    place = Affine(*(like.transform or ())) @ Affine.translation(around.col, around.row)
    bounds = array_bounds(around.height, around.width, place)
    return reproject_bounds(bounds, like.crs_wkt, vectors.crs_wkt, like.url)


def _features_in_box(vectors: Vectors, box: Box, column: str | None) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """Return the features whose boxes touch ``box``, sorted into the order of the file."""
    if _has_no_index(vectors.path):
        frame = _cached_layer(vectors.url, str(vectors.path), vectors.layer, vectors.identity)
        return frame.iloc[np.sort(frame.sindex.intersection(box))]
    options = {"columns": [column] if column else [], "bbox": box, "fid_as_index": True}
    return _read_layer(vectors.url, vectors.path, vectors.layer, options).sort_index()


def _wkt(crs: Any) -> str | None:  # noqa: ANN401 - pyproj's CRS, a text or None
    from pyproj import CRS  # noqa: PLC0415 - comes with geopandas, which is an extra

    return None if crs is None else str(CRS.from_user_input(crs).to_wkt())


def _box(bounds: Any) -> Box | None:  # noqa: ANN401 - an array, a tuple or None
    if bounds is None or not np.isfinite(bounds).all():
        return None
    left, bottom, right, top = (float(value) for value in bounds)
    return left, bottom, right, top


def _has_no_index(path: Path) -> bool:
    """Return whether a file has no spatial index, so that it is read as a whole and cached."""
    return path.suffix.lower() in (*PARQUET, *GEOJSON)


def _cached_layer(url: str, path: str, layer: str | None, identity: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """Return the whole layer with its index; one thread reads it while the others wait."""
    with _read_lock:
        return _whole_layer(url, path, layer, identity)


@lru_cache(maxsize=CACHED_FILES)
def _whole_layer(url: str, path: str, layer: str | None, _identity: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    frame = _read_layer(url, Path(path), layer, {})
    assert frame.sindex is not None  # build it now, not in several threads at once
    return frame


def _read_layer(url: str, path: Path, layer: str | None, options: dict[str, Any]) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """Read a layer as selected by ``options`` of `geopandas.read_file`."""
    geopandas = _geopandas(url)
    try:
        if path.suffix.lower() in PARQUET:
            return geopandas.read_parquet(path)
        return geopandas.read_file(path, layer=layer, engine="pyogrio", **options)
    except (ValueError, RuntimeError, OSError) as error:  # pyogrio's and pyarrow's own errors
        raise _unreadable(url, error) from None


def _read_layer_info(url: str, path: Path, layer: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name of the layer and pyogrio's header of it."""
    _geopandas(url)
    import pyogrio  # noqa: PLC0415 - comes with geopandas, which is an extra

    try:
        # QGIS stores styles in layers that have no geometry type.
        shape_layers = [name for name, kind in pyogrio.list_layers(path) if kind]
        layer = layer or _only_layer(url, shape_layers)
        return layer, pyogrio.read_info(path, layer=layer, force_total_bounds=True)
    except (ValueError, RuntimeError) as error:
        raise _unreadable(url, error) from None


def _only_layer(url: str, layers: Sequence[str]) -> str:
    if not layers:
        raise SourceError(f"{url}: has no layer with shapes; check the file")
    if len(layers) > 1:
        raise SourceError(
            f"{url}: has the layers {', '.join(layers)}; name one: {url}{LAYER}{layers[0]}"
        )
    return layers[0]


def _unreadable(url: str, error: Exception) -> SourceError:
    reason = " ".join(str(error).split())
    return SourceError(f"{url}: cannot be read as vectors ({reason}); repair or convert it")


def _geopandas(url: str) -> ModuleType:
    try:
        import geopandas  # noqa: PLC0415 - an extra
    except ImportError:
        raise SourceError(
            f"{url}: vectors need geopandas; pip install 'segtasks[vectors]'"
        ) from None
    module: ModuleType = geopandas
    return module


def _local_file(name: str) -> Path:
    """Return the file itself, or a local copy of a remote one."""
    if object_store.is_remote(name) and name.lower().endswith(".shp"):
        raise SourceError(
            f"{name}: a Shapefile consists of several files; convert it to GeoPackage"
        )
    path = local_copy.local_copy(name)
    if not path.exists():
        raise SourceError(f"{name}: no such file; check the path")
    return path
