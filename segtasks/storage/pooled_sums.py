"""Each cell's share in the averages over the raster, and their sum.

A share is one small object, written before its receipt; zeros, most of it on a large raster, weigh
nothing. The sum is taken in the order of the cells in float64, so it has the same bits whoever
takes it; the first process that needs it keeps it beside the shares.
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
AT_ONCE = 64  # objects in memory


def write(workspace: str, fingerprint: str, cell: Tile, share: Floats) -> None:
    """Keep the share (D, bins) of one cell."""
    _write(_url(workspace, fingerprint, f"{cell.row}_{cell.col}"), share)


@lru_cache(maxsize=2)
def total(workspace: str, fingerprint: str, cells: Grid) -> Floats:
    """The sum (D, bins) of the shares of all cells, each of which must be there."""
    url = _url(workspace, fingerprint, "total")
    if not object_store.exists(url):
        names = (f"{cell.row}_{cell.col}" for cell in cells.tiles())
        _write(url, _sum(_url(workspace, fingerprint, name) for name in names))
    return _parse(url, object_store.read_bytes(url))


def _url(workspace: str, fingerprint: str, name: str) -> str:
    return f"{workspace}/{SHARES}/{fingerprint}/{name}.npy.z"


def _sum(urls: Iterator[str]) -> Floats:
    found = np.zeros((), np.float64)
    while some := list(islice(urls, AT_ONCE)):
        for url, data in zip(some, object_store.read_many(some), strict=True):
            found = found + _parse(url, data)
    return found.astype(np.float32)


def _write(url: str, values: Floats) -> None:
    plain = io.BytesIO()
    np.save(plain, values)
    object_store.write_bytes(url, zlib.compress(plain.getvalue(), level=1))


def _parse(url: str, data: bytes) -> Floats:
    try:
        values: Floats = np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False)
    except (zlib.error, ValueError, EOFError) as error:
        raise WorkspaceError(f"{url}: is damaged; start again with --fresh") from error
    return values
