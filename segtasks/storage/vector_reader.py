"""Vector files by windows: the features that may touch a window, on the raster's pixel grid.

GeoPackage, FlatGeobuf and Shapefile are read through their spatial index. GeoParquet and GeoJSON
have none; they are read once and cached.

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
from segtasks.storage.align import footprint_of, reprojected, require_overlap

PARQUET, GEOJSON = (".parquet", ".geoparquet"), (".geojson", ".json")
LAYER = "|layername="
"""Between file and layer, as QGIS writes it."""
KEPT_FILES = 32
"""Many data sets have a GeoJSON per image."""
_reading = threading.Lock()
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
    return PurePosixPath(redact_url(url.partition(LAYER)[0])).suffix.lower() in SUFFIXES


def describe(url: str) -> Vectors:
    """Read the header of ``FILE`` or ``FILE|layername=LAYER``.

    Raises:
        SourceError: missing, unreadable, or several layers and none named.
    """
    name, _, asked = url.partition(LAYER)
    path, layer = local(name), asked or None
    identity = object_store.identity(str(path))
    if is_cached_whole(path):
        frame = cached_layer(url, str(path), layer, identity)
        columns = frame.columns.drop(frame.geometry.name)
        crs, bounds = frame.crs, frame.total_bounds
    else:
        layer, info = read_layer_info(url, path, layer)
        columns, crs, bounds = info["fields"], info["crs"], info["total_bounds"]
    names = tuple(str(column) for column in columns)
    return Vectors(url, path, layer, identity, names, _wkt(crs), _box(bounds))


def require_place(vectors: Vectors, like: RasterHeader) -> None:
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


def features(vectors: Vectors, like: RasterHeader, window: Window, column: str | None) -> Features:
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
    return tuple(read_layer(vectors.url, vectors.path, vectors.layer, {}).geometry)


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


def _search_box(vectors: Vectors, like: RasterHeader, window: Window) -> Box:
    around = window.grow(MARGIN_PX)
    place = Affine(*(like.transform or ())) @ Affine.translation(around.col, around.row)
    bounds = array_bounds(around.height, around.width, place)
    return reprojected(bounds, like.crs_wkt, vectors.crs_wkt, like.url)


def _found(vectors: Vectors, box: Box, column: str | None) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """The features whose boxes meet ``box``, in file order: an index has an order of its own."""
    if is_cached_whole(vectors.path):
        frame = cached_layer(vectors.url, str(vectors.path), vectors.layer, vectors.identity)
        return frame.iloc[np.sort(frame.sindex.intersection(box))]
    options = {"columns": [column] if column else [], "bbox": box, "fid_as_index": True}
    return read_layer(vectors.url, vectors.path, vectors.layer, options).sort_index()


def _wkt(crs: Any) -> str | None:  # noqa: ANN401 - pyproj's CRS, a text or None
    from pyproj import CRS  # noqa: PLC0415 - comes with geopandas, which is an extra

    return None if crs is None else str(CRS.from_user_input(crs).to_wkt())


def _box(bounds: Any) -> Box | None:  # noqa: ANN401 - an array, a tuple or None
    if bounds is None or not np.isfinite(bounds).all():
        return None
    left, bottom, right, top = (float(value) for value in bounds)
    return left, bottom, right, top


def is_cached_whole(path: Path) -> bool:
    """Whether a file has no spatial index, so that all of it is read at once and kept."""
    return path.suffix.lower() in (*PARQUET, *GEOJSON)


def cached_layer(url: str, path: str, layer: str | None, identity: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """The whole file and its index in memory; one thread reads, the others wait for it.

    Raises:
        SourceError: it cannot be read.
    """
    with _reading:
        return _whole(url, path, layer, identity)


@lru_cache(maxsize=KEPT_FILES)
def _whole(url: str, path: str, layer: str | None, _identity: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    found = read_layer(url, Path(path), layer, {})
    assert found.sindex is not None  # built now, not by several threads at once
    return found


def read_layer(url: str, path: Path, layer: str | None, options: dict[str, Any]) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """A layer, or what ``options`` of `geopandas.read_file` leave of it.

    Raises:
        SourceError: it cannot be read.
    """
    geopandas = _geopandas(url)
    try:
        if path.suffix.lower() in PARQUET:
            return geopandas.read_parquet(path)
        return geopandas.read_file(path, layer=layer, engine="pyogrio", **options)
    except (ValueError, RuntimeError, OSError) as error:  # pyogrio's and pyarrow's own errors
        raise _unreadable(url, error) from None


def read_layer_info(url: str, path: Path, layer: str | None) -> tuple[str, dict[str, Any]]:
    """The layer's name and pyogrio's header of it.

    Raises:
        SourceError: unreadable, without shapes, or several layers and none named.
    """
    _geopandas(url)
    import pyogrio  # noqa: PLC0415 - comes with geopandas, which is an extra

    try:
        layer = layer or _only(url, [name for name, kind in pyogrio.list_layers(path) if kind])
        return layer, pyogrio.read_info(path, layer=layer, force_total_bounds=True)
    except (ValueError, RuntimeError) as error:
        raise _unreadable(url, error) from None


def _only(url: str, layers: Sequence[str]) -> str:
    """The one layer with shapes; QGIS keeps styles in others, which have none."""
    if not layers:
        raise SourceError(f"{url}: has no layer with shapes; check the file")
    if len(layers) > 1:
        raise SourceError(
            f"{url}: has the layers {', '.join(layers)}; name one: {url}{LAYER}{layers[0]}"
        )
    return layers[0]


def _unreadable(url: str, error: Exception) -> SourceError:
    reason = " ".join(str(error).split())
    return SourceError(f"{url}: cannot be read as vectors ({reason}); mend or convert it")


def _geopandas(url: str) -> ModuleType:
    try:
        import geopandas  # noqa: PLC0415 - an extra
    except ImportError:
        raise SourceError(
            f"{url}: vectors need geopandas; pip install 'segtasks[vectors]'"
        ) from None
    module: ModuleType = geopandas
    return module


def local(name: str) -> Path:
    """A local file with the bytes of ``name``.

    Raises:
        SourceError: there is none, or it is several files.
    """
    if object_store.is_remote(name) and name.lower().endswith(".shp"):
        raise SourceError(f"{name}: a Shapefile is several files; convert it to GeoPackage")
    path = local_copy.local_copy(name)
    if not path.exists():
        raise SourceError(f"{name}: no such file; check the path")
    return path
