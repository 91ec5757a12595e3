"""Windows and tiles: which pixels a task writes and which it reads.

    |<------------------------- raster ------------------------->|
    |hh|ccccccccccccc|hh|                                            tile 0: reads h+c, writes c
                  |hh|ccccccccccccc|hh|                              tile 1

Cores partition the raster: every pixel exactly once. All ranges are half-open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Self

from segtasks.errors import JobError


@dataclass(frozen=True, slots=True)
class Window:
    """Rows ``row .. row+height`` and columns ``col .. col+width`` of a raster, half-open."""

    row: int
    col: int
    height: int
    width: int

    @property
    def row_stop(self) -> int:
        """First row after the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column after the window."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Height x width."""
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this window in an array (H, W) of the raster."""
        return slice(self.row, self.row_stop), slice(self.col, self.col_stop)

    def within(self, outer: "Window") -> tuple[slice, slice]:
        """Index of this window in an array (H, W) that holds ``outer``."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def grow(self, margin_px: int) -> "Window":
        """The window with ``margin_px`` more on every side."""
        return Window(
            self.row - margin_px,
            self.col - margin_px,
            self.height + 2 * margin_px,
            self.width + 2 * margin_px,
        )

    def intersect(self, other: "Window") -> "Window":
        """The common part; zero height or width when there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = max(0, min(self.row_stop, other.row_stop) - row)
        width = max(0, min(self.col_stop, other.col_stop) - col)
        return Window(row, col, height, width)

    def overlaps(self, other: "Window") -> bool:
        """Whether the two share a pixel."""
        return self.intersect(other).pixels > 0

    def hull(self, other: "Window") -> "Window":
        """The smallest window that holds both."""
        row, col = min(self.row, other.row), min(self.col, other.col)
        height = max(self.row_stop, other.row_stop) - row
        width = max(self.col_stop, other.col_stop) - col
        return Window(row, col, height, width)


class Tile(NamedTuple):
    """Index of a tile in its grid."""

    row: int
    col: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Cores of ``core_px`` on each side that partition a raster of ``height`` x ``width``.

    Raises:
        JobError: when a length is not positive.
    """

    height: int
    width: int
    core_px: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.core_px) < 1:
            raise JobError(
                f"grid of {self.core_px} px cores over {self.height} x {self.width} px: "
                "every length must be at least 1"
            )

    @property
    def raster(self) -> Window:
        """The whole raster."""
        return Window(0, 0, self.height, self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of tiles."""
        return ceil(self.height / self.core_px), ceil(self.width / self.core_px)

    def __len__(self) -> int:
        rows, cols = self.shape
        return rows * cols

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row."""
        rows, cols = self.shape
        return (Tile(row, col) for row in range(rows) for col in range(cols))

    def core(self, tile: Tile) -> Window:
        """What ``tile`` alone writes."""
        size = self.core_px
        return Window(tile.row * size, tile.col * size, size, size).intersect(self.raster)

    def read_window(self, tile: Tile, halo_px: int) -> Window:
        """The core and ``halo_px`` around it, inside the raster."""
        return self.core(tile).grow(halo_px).intersect(self.raster)

    def touching(self, window: Window) -> Iterator[Tile]:
        """The tiles whose core shares a pixel with ``window``, row by row."""
        inside = window.intersect(self.raster)
        if inside.pixels == 0:
            return iter(())
        rows = range(inside.row // self.core_px, (inside.row_stop - 1) // self.core_px + 1)
        cols = range(inside.col // self.core_px, (inside.col_stop - 1) // self.core_px + 1)
        return (Tile(row, col) for row in rows for col in cols)


@dataclass(frozen=True, slots=True)
class TileSelection:
    """Some tiles of a grid, a bit for each: small enough to travel with every task.

    Attributes:
        grid: whose tiles.
        bits: row by row, the first in the lowest bit of the first byte; ``None``: all of them.
    """

    grid: Grid
    bits: bytes | None = None

    @classmethod
    def of(cls, grid: Grid, tiles: Iterable[Tile]) -> Self:
        """These tiles of ``grid``."""
        bits = bytearray(ceil(len(grid) / 8))
        for tile in tiles:
            index = tile.row * grid.shape[1] + tile.col
            bits[index // 8] |= 1 << index % 8
        return cls(grid, bytes(bits))

    def __contains__(self, tile: Tile) -> bool:
        index = tile.row * self.grid.shape[1] + tile.col
        return self.bits is None or bool(self.bits[index // 8] >> index % 8 & 1)

    def __iter__(self) -> Iterator[Tile]:
        return (tile for tile in self.grid.tiles() if tile in self)

    def __len__(self) -> int:
        if self.bits is None:
            return len(self.grid)
        return int.from_bytes(self.bits, "little").bit_count()

    @property
    def pixels(self) -> int:
        """Pixels of the cores."""
        if self.bits is None:
            return self.grid.raster.pixels
        return sum(self.grid.core(tile).pixels for tile in self)
