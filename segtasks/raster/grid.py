"""Windows and tiles: the pixels that a task reads and the pixels that it writes.

    |<------------------------- raster ------------------------->|
    |hh|ccccccccccccc|hh|                                            tile 0: reads h+c, writes c
                  |hh|ccccccccccccc|hh|                              tile 1

The cores partition the raster: every pixel lies in exactly one core. All ranges are half-open.
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
        """The first row after the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """The first column after the window."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of this window in an array (H, W) of the raster."""
        return slice(self.row, self.row_stop), slice(self.col, self.col_stop)

    def within(self, outer: "Window") -> tuple[slice, slice]:
        """Return the index of this window in an array (H, W) that holds ``outer``."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def grow(self, margin_px: int) -> "Window":
        """Return the window enlarged by ``margin_px`` on every side."""
        return Window(
            self.row - margin_px,
            self.col - margin_px,
            self.height + 2 * margin_px,
            self.width + 2 * margin_px,
        )

    def intersect(self, other: "Window") -> "Window":
        """Return the intersection; its height or width is zero if there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = max(0, min(self.row_stop, other.row_stop) - row)
        width = max(0, min(self.col_stop, other.col_stop) - col)
        return Window(row, col, height, width)

    def overlaps(self, other: "Window") -> bool:
        """Return whether the two windows share a pixel."""
        return self.intersect(other).pixels > 0

    def hull(self, other: "Window") -> "Window":
        """Return the smallest window that contains both."""
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
    """Square cores of ``core_px`` pixels per side that partition a raster.

    Raises:
        JobError: a length is not positive.
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
        """The number of rows and columns of tiles."""
        return ceil(self.height / self.core_px), ceil(self.width / self.core_px)

    def __len__(self) -> int:
        rows, cols = self.shape
        return rows * cols

    def tiles(self) -> Iterator[Tile]:
        """Yield all tiles in row order."""
        rows, cols = self.shape
        return (Tile(row, col) for row in range(rows) for col in range(cols))

    def core(self, tile: Tile) -> Window:
        """Return the window that only ``tile`` writes."""
        size = self.core_px
        return Window(tile.row * size, tile.col * size, size, size).intersect(self.raster)

    def read_window(self, tile: Tile, halo_px: int) -> Window:
        """Return the core and ``halo_px`` around it, clipped to the raster."""
        return self.core(tile).grow(halo_px).intersect(self.raster)

    def touching(self, window: Window) -> Iterator[Tile]:
        """Yield the tiles whose core shares a pixel with ``window``, in row order."""
        inside = window.intersect(self.raster)
        if inside.pixels == 0:
            return iter(())
        rows = range(inside.row // self.core_px, (inside.row_stop - 1) // self.core_px + 1)
        cols = range(inside.col // self.core_px, (inside.col_stop - 1) // self.core_px + 1)
        return (Tile(row, col) for row in rows for col in cols)


@dataclass(frozen=True, slots=True)
class TileSelection:
    """A subset of the tiles of a grid, one bit per tile: small enough to be sent with every task.

    Attributes:
        grid: the grid of the tiles.
        bits: one bit per tile in row order, the first in the lowest bit of the first byte;
            ``None`` selects all tiles.
    """

    grid: Grid
    bits: bytes | None = None

    @classmethod
    def of(cls, grid: Grid, tiles: Iterable[Tile]) -> Self:
        """Select these tiles of ``grid``."""
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
        """The number of pixels in the selected cores."""
        if self.bits is None:
            return self.grid.raster.pixels
        return sum(self.grid.core(tile).pixels for tile in self)
