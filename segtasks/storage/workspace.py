"""The workspace: one Zarr v3 group per job, where data rests between stages.

    image          (C, H, W) source dtype     written by ingest
    valid          (H, W)    bool             written by ingest
    probabilities  (K, H, W) float16          written by predict, when a CRF follows or asked for
    mask           (H, W)    uint8, 255       written by refine, or by predict without a CRF
    confidence     (H, W)    uint8, 255       the same, when asked for
    sieved         (H, W)    uint8, 255       written by sieve, where the mask is cleaned up
    tables/        a file for each tile       written by components, sieve and vectorise
    shares/        a file for each cell       written by pool, where averages are the raster's
    aoi.json       polygons in pixels         written before the first tile, where there is an area

A shard (one object) is written whole by one task; chunks inside it are what is read.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd, prod
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import ZstdCodec

from segtasks.errors import ResourceError, WorkspaceError
from segtasks.raster.grid import Window
from segtasks.storage import object_store

CHUNK_PX = 512
MANIFEST = "job.json"
SHARES, TABLES, AREA = "shares", "tables", "aoi.json"
GROUP = "zarr.json"
# Without this a shard that equals the fill value is not stored, and looks like one never written.
# Zarr does not keep it with the array: it must be said again at every opening.
CONFIG: Any = {"write_empty_chunks": True}
OURS: dict[str, Any] = {"made_by": "segtasks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """Template of one array.

    Attributes:
        leading: the axes before (H, W).
        shard_px: side of a shard, in pixels of the array.
        fill: the value of pixels that nobody has written.
        level: of zstd.
        step: the array holds every ``step``-th row and column of the raster.
    """

    leading: tuple[int, ...]
    dtype: str
    shard_px: int
    fill: int
    level: int = 1
    step: int = 1

    @property
    def pixel_bytes(self) -> float:
        """Bytes before compression per pixel of the raster."""
        return prod(self.leading) * np.dtype(self.dtype).itemsize / self.step**2


def create(url: str, height: int, width: int, specs: Mapping[str, ArraySpec]) -> None:
    """Create the group and arrays of a raster of (height, width), before any worker starts.

    Raises:
        WorkspaceError: a group or array is there that segtasks did not make.
    """
    foreign = sorted(object_store.names(url) & {GROUP, *specs})
    if foreign and not _is_ours(url):
        raise WorkspaceError(
            f"{url}: holds {foreign[0]}, which segtasks did not make; give another --workspace"
        )
    group = zarr.open_group(url, mode="a", zarr_format=3, attributes=OURS)
    for name, spec in specs.items():
        _create_array(group, name, spec, (ceil(height / spec.step), ceil(width / spec.step)))


def _create_array(group: zarr.Group, name: str, spec: ArraySpec, shape: tuple[int, int]) -> None:
    chunk, shard = sides(spec.shard_px, shape)
    group.create_array(
        name,
        shape=(*spec.leading, *shape),
        chunks=(*spec.leading, chunk, chunk),
        shards=(*spec.leading, shard, shard),
        dtype=spec.dtype,
        overwrite=True,
        fill_value=spec.fill,
        compressors=ZstdCodec(level=spec.level),
        config=CONFIG,
    )


def sides(shard_px: int, shape: tuple[int, int]) -> tuple[int, int]:
    """Sides of the chunks and shards of arrays of ``shape`` in shards of ``shard_px``.

    A raster smaller than a shard gets a shard just large enough for it.
    """
    chunk = gcd(shard_px, CHUNK_PX)
    return chunk, min(shard_px, ceil(max(shape) / chunk) * chunk)


def _array(url: str, name: str) -> zarr.Array[Any]:
    """Return the array, opened once per process and again after another job has replaced it."""
    return _opened(url, name, object_store.identity(f"{url}/{name}/{GROUP}"))


@lru_cache(maxsize=64)
def _opened(url: str, name: str, _identity: str) -> zarr.Array[Any]:
    try:
        return zarr.open_array(f"{url}/{name}", mode="r+", zarr_format=3).with_config(CONFIG)
    except ValueError as error:
        raise WorkspaceError(f"{url}/{name}: is damaged; start again with --fresh") from error


def shape(url: str, name: str) -> tuple[int, ...] | None:
    """The shape of an array; ``None`` when there is none of that name."""
    return _array(url, name).shape if object_store.exists(f"{url}/{name}/{GROUP}") else None


def read(url: str, name: str, window: Window) -> npt.NDArray[Any]:
    """A window (..., h, w) of an array."""
    data: Any = _array(url, name)[(..., *window.slices)]
    return np.asarray(data)


def write(url: str, name: str, window: Window, data: npt.NDArray[Any]) -> None:
    """Write a window that is whole shards, in one assignment.

    Raises:
        ResourceError: when the disk is full.
    """
    try:
        _array(url, name)[(..., *window.slices)] = data
    except OSError as error:
        raise ResourceError(
            f"{url}/{name}: cannot be written ({error.strerror or error}); free some space and "
            "rerun: what is done is kept"
        ) from error


def drop_cached_arrays() -> None:
    """Drop cached handles after a workspace was removed or created again."""
    _opened.cache_clear()


def read_manifest(url: str) -> dict[str, Any] | None:
    """What the workspace was made for, or ``None`` when there is none.

    Raises:
        WorkspaceError: when the manifest is not JSON.
    """
    path = f"{url}/{MANIFEST}"
    if not object_store.exists(path):
        return None
    try:
        manifest: dict[str, Any] = json.loads(object_store.read_bytes(path))
    except json.JSONDecodeError:
        raise WorkspaceError(f"{path}: is damaged; start again with --fresh") from None
    return manifest


def write_manifest(url: str, manifest: Mapping[str, Any]) -> None:
    """Record what the workspace is made for."""
    object_store.write_bytes(f"{url}/{MANIFEST}", json.dumps(manifest, indent=1).encode())


def clear(url: str, arrays: Iterable[str]) -> None:
    """Remove a workspace with these arrays, and its folder if nothing else is in it.

    The manifest is removed first and the group, which marks the workspace as made by segtasks,
    last: a workspace that was removed in part is removed the next time.
    """
    if not _is_ours(url):
        return
    there = object_store.names(url)
    for name in (MANIFEST, "receipts", SHARES, TABLES, AREA, *arrays, GROUP):
        if name in there:
            object_store.remove_tree(f"{url}/{name}")
    object_store.remove_empty_folder(url)
    drop_cached_arrays()


def _is_ours(url: str) -> bool:
    """Whether segtasks made the group: a user's own ``image`` or ``mask`` is never removed."""
    path = f"{url}/{GROUP}"
    if not object_store.exists(path):
        return False
    try:
        attributes = json.loads(object_store.read_bytes(path))["attributes"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(attributes == OURS)
