"""The frame that every stage fills: how it reads, computes and writes one tile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile

Read = TypeVar("Read")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the receipt of a tile says: pixels with data, and pixels per class id."""

    valid_px: int
    histogram: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileStage(Generic[Read, Made]):
    """How a stage does a tile.

    Attributes:
        read: what the tile needs, from source or workspace.
        compute: the result, made in the compute slot: one tile of a process at a time.
        write: stores the result; whole shards, which no other tile writes.
    """

    read: Callable[[Plan, Tile], Read]
    compute: Callable[[Plan, Tile, Read], Made] | None
    write: Callable[[Plan, Tile, Read, Made], Written]
