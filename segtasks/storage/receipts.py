"""Receipts: proof that a tile is done, one small object each, written after the tile's data.

Data first, receipt after: a process killed between the two does the tile again, with the same
bytes. Receipts lie under the fingerprint of their stage, so those of other settings never match.
"""

import json
import os
import re
import socket
from dataclasses import asdict, dataclass, field

from segtasks.errors import WorkspaceError
from segtasks.raster.grid import Tile
from segtasks.storage import object_store

NAME = re.compile(r"(?P<row>\d+)_(?P<col>\d+)\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one tile of one stage did.

    Attributes:
        histogram: pixels per class id, when the stage wrote a mask.
        valid_px: pixels that are not nodata.
        began: when its computing began, seconds since the epoch.
        seconds: time per part of the work (read, wait for the slot, compute, write).
        worker: host and process that did it.
    """

    stage: str
    row: int
    col: int
    valid_px: int
    worker: str
    began: float
    histogram: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def worker_name() -> str:
    """Host and process, as receipts name them."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _folder(workspace: str, fingerprint: str, stage: str) -> str:
    return f"{workspace}/receipts/{fingerprint}/{stage}"


def is_done(workspace: str, fingerprint: str, stage: str, tile: Tile) -> bool:
    """Whether the tile has its receipt."""
    return object_store.exists(
        f"{_folder(workspace, fingerprint, stage)}/{tile.row}_{tile.col}.json"
    )


def done(workspace: str, fingerprint: str, stage: str) -> set[Tile]:
    """The tiles that have a receipt: one listing."""
    found = map(NAME.fullmatch, object_store.names(_folder(workspace, fingerprint, stage)))
    return {Tile(int(name["row"]), int(name["col"])) for name in found if name}


def forget(workspace: str, stage: str) -> None:
    """Remove all receipts of a stage, for any settings."""
    for fingerprint in object_store.names(f"{workspace}/receipts"):
        object_store.remove_tree(f"{workspace}/receipts/{fingerprint}/{stage}")


def write(workspace: str, fingerprint: str, receipt: Receipt) -> None:
    """Write the receipt, whole or not at all; only after the tile's data is durable."""
    url = f"{_folder(workspace, fingerprint, receipt.stage)}/{receipt.row}_{receipt.col}.json"
    object_store.write_bytes(url, json.dumps(asdict(receipt)).encode())


def read_all(workspace: str, fingerprint: str, stage: str) -> list[Receipt]:
    """All receipts of a stage, without the unfinished files of killed writers.

    Raises:
        WorkspaceError: naming a receipt that is damaged.
    """
    folder = _folder(workspace, fingerprint, stage)
    urls = [
        f"{folder}/{name}" for name in sorted(object_store.names(folder)) if NAME.fullmatch(name)
    ]
    texts = object_store.read_many(urls)
    return [_parse(url, text) for url, text in zip(urls, texts, strict=True)]


def _parse(url: str, text: bytes) -> Receipt:
    try:
        values = json.loads(text)
        histogram = {int(key): count for key, count in values["histogram"].items()}
        return Receipt(**(values | {"histogram": histogram}))
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{url}: is damaged; remove it and rerun, its tile will be done again"
        ) from error
