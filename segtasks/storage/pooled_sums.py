"""The contribution of each cell to averages over the raster, and the sum of all contributions.

A contribution is one small object, which is written before the cell's receipt. Most of it is zero
on a large raster, and zeros compress to nothing. The sum is computed in float64 in the order of the
cells, so every process gets the same bits. The first process that needs it stores it with the
contributions.
"""

import io
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt

from segtasks.errors import WorkspaceError
from segtasks.raster.grid import Grid, Tile
from segtasks.storage import object_store
from segtasks.storage.workspace import SHARES

Floats = npt.NDArray[np.float32]
BATCH = 64  # objects in memory


def write(workspace: str, fingerprint: str, cell: Tile, share: Floats) -> None:
    """Store the contribution (D, bins) of one cell."""
    _write(_url(workspace, fingerprint, f"{cell.row}_{cell.col}"), share)


@lru_cache(maxsize=2)
def total(workspace: str, fingerprint: str, cells: Grid) -> Floats:
    """Return the sum (D, bins) of the contributions of all cells, which must all be stored."""
    url = _url(workspace, fingerprint, "total")
    if not object_store.exists(url):
        names = (f"{cell.row}_{cell.col}" for cell in cells.tiles())
        _write(url, _sum(_url(workspace, fingerprint, name) for name in names))
    return _parse(url, object_store.read_bytes(url))


def _url(workspace: str, fingerprint: str, name: str) -> str:
    return f"{workspace}/{SHARES}/{fingerprint}/{name}.npy.z"


def _sum(urls: Iterator[str]) -> Floats:
    result = np.zeros((), np.float64)
    while batch := list(islice(urls, BATCH)):
        for url, data in zip(batch, object_store.read_many(batch), strict=True):
            result = result + _parse(url, data)
    return result.astype(np.float32)


def _write(url: str, values: Floats) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values)
    object_store.write_bytes(url, zlib.compress(buffer.getvalue(), level=1))


def _parse(url: str, data: bytes) -> Floats:
    try:
        values: Floats = np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False)
    except (zlib.error, ValueError, EOFError) as error:
        raise WorkspaceError(f"{url}: is damaged; start again with --fresh") from error
    return values
