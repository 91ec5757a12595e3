"""Layers of vector files as GeoDataFrames: by their index, or whole and kept where there is none.

Needs geopandas: ``pip install 'segtasks[vectors]'``.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from segtasks.errors import SourceError
from segtasks.storage import copies, objects

PARQUET, GEOJSON = (".parquet", ".geoparquet"), (".geojson", ".json")
LAYER = "|layername="
"""Between file and layer, as QGIS writes it."""
KEPT_FILES = 32
"""Many data sets have a GeoJSON per image."""
_reading = threading.Lock()


def is_kept(path: Path) -> bool:
    """Whether a file has no spatial index, so that all of it is read at once and kept."""
    return path.suffix.lower() in (*PARQUET, *GEOJSON)


def kept(url: str, path: str, layer: str | None, identity: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    """The whole file and its index in memory; one thread reads, the others wait for it.

    Raises:
        SourceError: it cannot be read.
    """
    with _reading:
        return _whole(url, path, layer, identity)


@lru_cache(maxsize=KEPT_FILES)
def _whole(url: str, path: str, layer: str | None, _identity: str) -> Any:  # noqa: ANN401 - a GeoDataFrame
    found = frame(url, Path(path), layer, {})
    assert found.sindex is not None  # built now, not by several threads at once
    return found


def frame(url: str, path: Path, layer: str | None, options: dict[str, Any]) -> Any:  # noqa: ANN401 - a GeoDataFrame
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


def info(url: str, path: Path, layer: str | None) -> tuple[str, dict[str, Any]]:
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
    if objects.is_remote(name) and name.lower().endswith(".shp"):
        raise SourceError(f"{name}: a Shapefile is several files; convert it to GeoPackage")
    path = copies.local_copy(name)
    if not path.exists():
        raise SourceError(f"{name}: no such file; check the path")
    return path
