"""Pieces of a mask joined across tile borders, row of tiles by row of tiles.

A piece is finished, and forgotten here, as soon as the row of tiles just done does not carry it on
below: only those that go on are held, with all their vertices, since a polygon is one record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.raster.regions.connected_components import NONE, Bytes, Ints
from segtasks.raster.regions.outlines import CLOSED, Paths
from segtasks.raster.regions.simplify import Ring, Vertex

Floats = npt.NDArray[np.float64]
Line = list[int]


@dataclass(frozen=True, slots=True)
class Fragments:
    """What of a tile's pieces touches its rim.

    Attributes:
        classes: class id per piece (n,).
        pixels: pixels per piece (n,).
        amounts: sums over its pixels (n, m), such as area.
        owners: piece of each path (p,).
        paths: of their outlines.
        edges: piece at each pixel of the top, bottom, left and right edge.
    """

    classes: Bytes
    pixels: Ints
    amounts: Floats
    owners: Ints
    paths: Paths
    edges: tuple[Ints, Ints, Ints, Ints]

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """As named arrays."""
        own: dict[str, npt.NDArray[Any]] = {
            "classes": self.classes,
            "counts": self.pixels,
            "amounts": self.amounts,
        }
        edges = {f"edge{side}": edge for side, edge in enumerate(self.edges)}
        return own | {"owners": self.owners} | self.paths.table() | edges

    @classmethod
    def of(cls, table: dict[str, npt.NDArray[Any]]) -> "Fragments":
        """The pieces of which ``table`` was made."""
        top, bottom, left, right = (table[f"edge{side}"] for side in range(4))
        paths = Paths(**{name: table[name] for name in Paths.__slots__})
        own = table["classes"], table["counts"], table["amounts"], table["owners"]
        return cls(*own, paths, (top, bottom, left, right))


@dataclass(slots=True)
class PartialRegion:
    """One piece of the mask: class id, pixels, sums over them, and its outlines."""

    class_id: int
    pixels: int
    amounts: Floats
    closed: list[Ring] = field(default_factory=list)
    chains: dict[int, tuple[int, Ring]] = field(default_factory=dict)
    junctions: set[Vertex] = field(default_factory=set)

    def take(self, other: "PartialRegion") -> None:
        """Become one with a piece of the same class."""
        self.pixels += other.pixels
        self.amounts = self.amounts + other.amounts
        self.closed += other.closed
        self.chains |= other.chains
        self.junctions |= other.junctions

    def rings(self) -> list[Ring]:
        """Its outlines, chains put together where one ends and another begins."""
        found, left = list(self.closed), dict(self.chains)
        while left:
            follow, ring = left.pop(next(iter(left)))
            ring = list(ring)
            while follow in left:
                follow, more = left.pop(follow)
                ring += more
            found.append(ring)
        return found


class Stitcher:
    """Takes tiles row by row; gives what is finished."""

    def __init__(self) -> None:
        self._pieces: dict[int, PartialRegion] = {}
        self._parents: dict[int, int] = {}
        self._count = 0
        self._right: dict[int, Line] = {}
        self._above: dict[int, Line] = {}
        self._below: dict[int, Line] = {}

    def add(self, col: int, pieces: Fragments) -> None:
        """The next tile of the row, in column ``col`` of tiles; one left out is nodata."""
        base = self._count
        self._count += len(pieces.classes)
        for index, piece in enumerate(split(pieces)):
            self._pieces[base + index] = piece
            self._parents[base + index] = base + index
        top, bottom, left, right = (_line(edge, base) for edge in pieces.edges)
        self._join(self._right.get(col - 1, []), left)
        self._join(self._above.get(col, []), top)
        self._right, self._below[col] = {col: right}, bottom

    def finished(self, *, last: bool) -> Iterator[PartialRegion]:
        """The row is done: what does not go on below, or all that is left after the last row."""
        self._above = {col: [*map(self._root, line)] for col, line in self._below.items()}
        on = set() if last else {root for line in self._above.values() for root in line}
        done = [root for root in self._pieces if root not in on]
        self._below, self._right = {}, {}
        self._parents = {root: root for root in on}
        for root in done:
            yield self._pieces.pop(root)

    def _join(self, one: Line, other: Line) -> None:
        for a, b in set(zip(one, other, strict=False)):
            if NONE in {a, b}:
                continue
            low, high = sorted((self._root(a), self._root(b)))
            if low != high and self._pieces[low].class_id == self._pieces[high].class_id:
                self._pieces[low].take(self._pieces.pop(high))
                self._parents[high] = low

    def _root(self, at: int) -> int:
        if at == NONE:
            return NONE
        while (above := self._parents[at]) != at:
            self._parents[at] = self._parents[above]
            at = above
        return at


def vertices_of(paths: Paths, index: int) -> Ring:
    """The vertices of one path."""
    start = int(paths.ends[index - 1]) if index else 0
    return list(map(tuple, paths.vertices[start : int(paths.ends[index])].tolist()))


def _line(edge: Ints, base: int) -> Line:
    line: Line = np.where(edge == NONE, NONE, edge + base).tolist()
    return line


def split(pieces: Fragments) -> list[PartialRegion]:
    """The pieces of a tile, each with its own paths."""
    paths = pieces.paths
    found = [
        PartialRegion(int(class_id), int(pixels), amounts)
        for class_id, pixels, amounts in zip(
            pieces.classes, pieces.pixels, pieces.amounts, strict=True
        )
    ]
    for index, owner in enumerate(pieces.owners.tolist()):
        ring, follow = vertices_of(paths, index), int(paths.nexts[index])
        if follow == CLOSED:
            found[owner].closed.append(ring)
        else:
            found[owner].chains[int(paths.firsts[index])] = follow, ring
        end = int(paths.ends[index])
        is_junction = paths.junctions[end - len(ring) : end].tolist()
        found[owner].junctions.update(v for v, yes in zip(ring, is_junction, strict=True) if yes)
    return found
