"""Arrays of variable length that one tile passes to later stages: one object per tile.

An object is written completely before its tile's receipt, under the fingerprint of its stage.
Results of all tiles together are stored under the fingerprint of the stage that computes them.
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
    """Store the named arrays of one tile."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **table)  # type: ignore[arg-type] # its stubs allow no mapping
    object_store.write_bytes(_url(workspace, fingerprint, tile), packed.getvalue())


def read(workspace: str, fingerprint: str, tile: Tile) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of one tile.

    Raises:
        WorkspaceError: the object is damaged.
        StorageError: there is no such object.
    """
    url = _url(workspace, fingerprint, tile)
    try:
        with np.load(io.BytesIO(object_store.read_bytes(url)), allow_pickle=False) as packed:
            return dict(packed)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise WorkspaceError(f"{url}: is damaged; start again with --fresh") from error


def exists(workspace: str, fingerprint: str, tile: Tile) -> bool:
    """Return whether the arrays of a tile are stored."""
    return object_store.exists(_url(workspace, fingerprint, tile))


def _url(workspace: str, fingerprint: str, tile: Tile) -> str:
    return f"{workspace}/{TABLES}/{fingerprint}/{tile.row}_{tile.col}.npz"
