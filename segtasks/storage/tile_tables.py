"""Arrays of no fixed length that one tile of a stage leaves for others: an object for each tile.

An object is written before its tile's receipt, whole or not at all, under the fingerprint of its
stage. What tiles make together is written under the fingerprint of the stage that makes it.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.errors import WorkspaceError
from segtasks.raster.grid import Tile
from segtasks.storage import object_store
from segtasks.storage.workspace import TABLES

Table = Mapping[str, npt.NDArray[Any]]


def write(workspace: str, fingerprint: str, tile: Tile, table: Table) -> None:
    """Keep the named arrays of one tile."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **table)  # type: ignore[arg-type] # its stubs know no mapping
    object_store.write_bytes(_url(workspace, fingerprint, tile), packed.getvalue())


def read(workspace: str, fingerprint: str, tile: Tile) -> dict[str, npt.NDArray[Any]]:
    """The arrays of one tile.

    Raises:
        WorkspaceError: they are damaged.
    """
    url = _url(workspace, fingerprint, tile)
    try:
        with np.load(io.BytesIO(object_store.read_bytes(url)), allow_pickle=False) as packed:
            return dict(packed)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise WorkspaceError(f"{url}: is damaged; start again with --fresh") from error


def exists(workspace: str, fingerprint: str, tile: Tile) -> bool:
    """Whether the arrays of a tile are there."""
    return object_store.exists(_url(workspace, fingerprint, tile))


def _url(workspace: str, fingerprint: str, tile: Tile) -> str:
    return f"{workspace}/{TABLES}/{fingerprint}/{tile.row}_{tile.col}.npz"
