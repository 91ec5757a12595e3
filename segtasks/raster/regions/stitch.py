"""Join regions of a mask across tile borders, one row of tiles after the other.

A region is complete as soon as it does not continue below the row of tiles that was added last; it
is then released. Only regions that continue are held in memory, with all their vertices, because a
polygon is written as one record.
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
    """Regions of one tile, or the parts of regions that lie in it.

    Attributes:
        classes: class id per region (n,).
        pixels: number of pixels per region (n,).
        amounts: sums over the pixels of each region (n, m), such as its area.
        owners: index of the region to which each path belongs (p,).
        paths: the paths of the outlines.
        edges: index of the region at each pixel of the top, bottom, left and right edge.
    """

    classes: Bytes
    pixels: Ints
    amounts: Floats
    owners: Ints
    paths: Paths
    edges: tuple[Ints, Ints, Ints, Ints]

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fields as named arrays, for a tile's table in the workspace."""
        own: dict[str, npt.NDArray[Any]] = {
            "classes": self.classes,
            "counts": self.pixels,
            "amounts": self.amounts,
        }
        edges = {f"edge{side}": edge for side, edge in enumerate(self.edges)}
        return own | {"owners": self.owners} | self.paths.table() | edges

    @classmethod
    def of(cls, table: dict[str, npt.NDArray[Any]]) -> "Fragments":
        """Build the object from the arrays that `table` returned."""
        top, bottom, left, right = (table[f"edge{side}"] for side in range(4))
        paths = Paths(**{name: table[name] for name in Paths.__slots__})
        own = table["classes"], table["counts"], table["amounts"], table["owners"]
        return cls(*own, paths, (top, bottom, left, right))


@dataclass(slots=True)
class PartialRegion:
    """A region as far as it is known: class id, pixel count, sums over pixels, and outlines.

    Attributes:
        class_id: class of the region.
        pixels: number of pixels.
        amounts: sums over its pixels (m,).
        closed: complete rings.
        chains: open chains, by the key of their first edge; each is the key of the edge that
            follows its last one, and its vertices.
        junctions: vertices of the outlines that are junctions.
    """

    class_id: int
    pixels: int
    amounts: Floats
    closed: list[Ring] = field(default_factory=list)
    chains: dict[int, tuple[int, Ring]] = field(default_factory=dict)
    junctions: set[Vertex] = field(default_factory=set)

    def take(self, other: "PartialRegion") -> None:
        """Add the pixels and outlines of another part of the same region."""
        self.pixels += other.pixels
        self.amounts = self.amounts + other.amounts
        self.closed += other.closed
        self.chains |= other.chains
        self.junctions |= other.junctions

    def rings(self) -> list[Ring]:
        """Return the outlines as rings, with chains joined end to end."""
        found, remaining = list(self.closed), dict(self.chains)
        while remaining:
            follow, ring = remaining.pop(next(iter(remaining)))
            ring = list(ring)
            while follow in remaining:
                follow, more = remaining.pop(follow)
                ring += more
            found.append(ring)
        return found


class Stitcher:
    """Joins regions across tiles, which are added row by row, and returns the complete ones."""

    def __init__(self) -> None:
        self._regions: dict[int, PartialRegion] = {}
        self._parents: dict[int, int] = {}
        self._count = 0
        self._right: dict[int, Line] = {}
        self._above: dict[int, Line] = {}
        self._below: dict[int, Line] = {}

    def add(self, col: int, fragments: Fragments) -> None:
        """Add the next tile of the row.

        Args:
            col: column of the tile in the grid. Tiles that are left out are nodata.
            fragments: the tile's regions that touch its border.
        """
        base = self._count
        self._count += len(fragments.classes)
        for index, region in enumerate(split_regions(fragments)):
            self._regions[base + index] = region
            self._parents[base + index] = base + index
        edges = (np.where(edge == NONE, NONE, edge + base).tolist() for edge in fragments.edges)
        top, bottom, left, right = edges
        self._join(self._right.get(col - 1, []), left)
        self._join(self._above.get(col, []), top)
        self._right, self._below[col] = {col: right}, bottom

    def finished(self, *, last: bool) -> Iterator[PartialRegion]:
        """End the row and yield the regions that do not continue below it.

        Args:
            last: whether this was the last row, so that all remaining regions are complete.
        """
        self._above = {col: [*map(self._root, line)] for col, line in self._below.items()}
        open_roots = set() if last else {root for line in self._above.values() for root in line}
        complete = [root for root in self._regions if root not in open_roots]
        self._below, self._right = {}, {}
        self._parents = {root: root for root in open_roots}
        for root in complete:
            yield self._regions.pop(root)

    def _join(self, one: Line, other: Line) -> None:
        for a, b in set(zip(one, other, strict=False)):
            if NONE in {a, b}:
                continue
            low, high = sorted((self._root(a), self._root(b)))
            if low != high and self._regions[low].class_id == self._regions[high].class_id:
                self._regions[low].take(self._regions.pop(high))
                self._parents[high] = low

    def _root(self, at: int) -> int:
        if at == NONE:
            return NONE
        while (above := self._parents[at]) != at:
            self._parents[at] = self._parents[above]
            at = above
        return at


def vertices_of(paths: Paths, index: int) -> Ring:
    """Return the vertices of one path."""
    start = int(paths.ends[index - 1]) if index else 0
    return list(map(tuple, paths.vertices[start : int(paths.ends[index])].tolist()))


def split_regions(fragments: Fragments) -> list[PartialRegion]:
    """Return the regions of a tile as separate objects, each with its own paths."""
    paths = fragments.paths
    found = [
        PartialRegion(int(class_id), int(pixels), amounts)
        for class_id, pixels, amounts in zip(
            fragments.classes, fragments.pixels, fragments.amounts, strict=True
        )
    ]
    for index, owner in enumerate(fragments.owners.tolist()):
        ring, follow = vertices_of(paths, index), int(paths.nexts[index])
        if follow == CLOSED:
            found[owner].closed.append(ring)
        else:
            found[owner].chains[int(paths.firsts[index])] = follow, ring
        end = int(paths.ends[index])
        is_junction = paths.junctions[end - len(ring) : end].tolist()
        found[owner].junctions.update(v for v, yes in zip(ring, is_junction, strict=True) if yes)
    return found
