"""Sieve by a minimum mapping unit, tile by tile, with the answer of the whole image.

The rule is GDAL's (``gdal_sieve.py``, GDALSieveFilter): a component of fewer pixels than the least
goes to its largest neighbour, of equal ones to that it meets first, row by row; if that is too
small itself, to where that one goes. Where this leads round in a circle, or to no neighbour at all,
the component stays. Sizes are those before any merging. Nodata has no neighbours.

    label      each tile: components, and the `Part` of them that other tiles must know
    settle     once: components across borders joined, their sizes and what becomes of them
    merged     each tile: what becomes of all its components, given those on its rim

A component inside a tile has all its neighbours in that tile, so its fate follows from theirs. The
table that holds all tiles' parts therefore has only the components that touch a tile's rim, and
those small ones inside that a small one on the rim may go to: about 100 bytes each. They grow with
the length of all rims, at tiles of 2048 px a thousandth of the pixels, and not with the speckles.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from segtasks.raster.grid import Grid, Tile
from segtasks.raster.labels import NODATA
from segtasks.raster.regions.connected_components import (
    NONE,
    Bytes,
    Components,
    Contacts,
    Ints,
    connected,
    contacts,
    joined,
)

STAYS = NODATA
"""Fate of a small component that no large one takes."""


@dataclass(frozen=True, slots=True)
class BorderComponents:
    """What other tiles must know of one tile's components.

    Attributes:
        classes: class id per component (n,); those on the rim come first, by their id.
        sizes: pixels in this tile per component (n,).
        contacts: one's possible way to another, by index into ``classes``.
        edges: index of the component at each pixel of the top, bottom, left and right edge.
    """

    classes: Bytes
    sizes: Ints
    contacts: Contacts
    edges: tuple[Ints, Ints, Ints, Ints]

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """As named arrays."""
        own: dict[str, npt.NDArray[Any]] = {"classes": self.classes, "sizes": self.sizes}
        met = {"one": self.contacts.one, "other": self.contacts.other, "at": self.contacts.at}
        return own | met | {f"edge{side}": edge for side, edge in enumerate(self.edges)}

    @classmethod
    def of(cls, table: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The part of which ``table`` was made."""
        top, bottom, left, right = (table[f"edge{side}"] for side in range(4))
        met = Contacts(table["one"], table["other"], table["at"])
        return cls(table["classes"], table["sizes"], met, (top, bottom, left, right))


@dataclass(frozen=True, slots=True)
class Rim:
    """What became of the components on one tile's rim: sizes (n,) in the raster, fates (n,).

    A fate is the class a component gets, or `STAYS`.
    """

    sizes: Ints
    fates: Bytes


def border_components_of(found: Components, least_px: int) -> BorderComponents:
    """The part of a tile's components that other tiles must know."""
    on_rim = found.on_rim()
    ways = found.contacts.both_ways()
    ways = ways.take(np.flatnonzero(found.sizes[ways.one] < least_px))
    to_rim, inward = on_rim[ways.other], ways.take(np.flatnonzero(~on_rim[ways.other]))
    best = inward.take(_best(inward, found.sizes))
    needed = _reached(on_rim, best)
    kept = joined([_first_met(ways.take(np.flatnonzero(to_rim))), best])
    kept = kept.take(np.flatnonzero(needed[kept.one]))
    order = np.concatenate([np.flatnonzero(on_rim), np.flatnonzero(needed & ~on_rim)])
    # One more, so that NONE, the last, stays what it is.
    index = np.full(len(on_rim) + 1, NONE, np.int64)
    index[order] = np.arange(len(order))
    lines = (found.ids[0], found.ids[-1], found.ids[:, 0], found.ids[:, -1])
    top, bottom, left, right = (index[line] for line in lines)
    return BorderComponents(
        found.classes[order], found.sizes[order], kept.renamed(index), (top, bottom, left, right)
    )


def resolve_small_regions(
    tiles: Mapping[Tile, BorderComponents], grid: Grid, connectedness: int, least_px: int
) -> Iterator[Rim]:
    """What becomes of the components of each tile's part, in the order of ``tiles``.

    A tile of ``grid`` that is not among them is nodata.
    """
    parts = list(tiles.values())
    starts = np.cumsum([0, *(len(part.classes) for part in parts)])
    placed = dict(zip(tiles, zip(parts, starts, strict=False), strict=True))
    classes = np.concatenate([part.classes for part in parts])
    across = joined(list(_seams(placed, grid, connectedness)))
    alike = classes[across.one] == classes[across.other]
    roots = connected(len(classes), across.one[alike], across.other[alike])
    sizes = np.zeros(len(classes), np.int64)
    np.add.at(sizes, roots, np.concatenate([part.sizes for part in parts]))
    inner = [
        Contacts(part.contacts.one + start, part.contacts.other + start, part.contacts.at)
        for part, start in zip(parts, starts, strict=False)
    ]
    ways = joined([*inner, across.take(np.flatnonzero(~alike)).both_ways()]).renamed(roots)
    fates = _fates(ways, sizes, np.where(sizes >= least_px, classes, STAYS), sizes >= least_px)
    for part, start in zip(parts, starts, strict=False):
        own = roots[start : start + len(part.classes)]
        yield Rim(sizes[own], fates[own])


def merged(found: Components, rim: Rim, least_px: int) -> Bytes:
    """The sieved mask (h, w) of a tile; of ``rim`` only the components on the rim are asked."""
    on_rim = np.flatnonzero(found.on_rim())
    sizes, known = found.sizes.copy(), found.sizes >= least_px
    fates = np.where(known, found.classes, STAYS)
    sizes[on_rim], fates[on_rim] = rim.sizes[: len(on_rim)], rim.fates[: len(on_rim)]
    known[on_rim] = True
    fates = _fates(found.contacts.both_ways(), sizes, fates, known)
    # One more for NONE, the last: nodata.
    final = np.append(np.where(fates == STAYS, found.classes, fates), np.uint8(NODATA))
    mask: Bytes = final[found.ids]
    return mask


def _fates(ways: Contacts, sizes: Ints, fates: Bytes, known: npt.NDArray[np.bool_]) -> Bytes:
    """Every component goes to its best neighbour until its fate is known; `STAYS` in a circle."""
    to = np.arange(len(sizes))
    best = ways.take(_best(ways, sizes))
    to[best.one] = best.other
    to[known] = np.flatnonzero(known)
    for _ in range(len(sizes).bit_length()):
        to = to[to]
    return np.where(known[to], fates[to], np.uint8(STAYS)).astype(np.uint8)


def _best(ways: Contacts, sizes: Ints) -> Ints:
    """Index of each component's way to its largest neighbour, of equal ones to that met first."""
    order = np.lexsort((ways.at, -sizes[ways.other], ways.one))
    return _firsts(order, ways.one[order])


def _first_met(ways: Contacts) -> Contacts:
    """Each pair once."""
    order = np.lexsort((ways.at, ways.other, ways.one))
    ordered = ways.take(order)
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = np.diff(ordered.one).astype(np.bool_) | np.diff(ordered.other).astype(np.bool_)
    return ordered.take(np.flatnonzero(is_new))


def _firsts(order: Ints, keys: Ints) -> Ints:
    """Those of ``order`` at which a new key begins."""
    return order[np.flatnonzero(np.diff(keys, prepend=NONE))]


def _reached(on_rim: npt.NDArray[np.bool_], best: Contacts) -> npt.NDArray[np.bool_]:
    """Those on the rim, and whatever their best ways inside lead to."""
    reached, count = on_rim.copy(), -1
    while count != (count := int(np.count_nonzero(reached))):
        reached[best.other[reached[best.one]]] = True
    return reached


def _seams(
    tiles: Mapping[Tile, tuple[BorderComponents, Any]], grid: Grid, connectedness: int
) -> Iterator[Contacts]:
    """The contacts across tile borders: along each row of tiles, then between two rows."""
    rows, cols = grid.shape
    for row in range(rows):
        for col in range(1, cols):
            one, other = Tile(row, col - 1), Tile(row, col)
            if one not in tiles or other not in tiles:
                continue
            core = grid.core(other)
            strip = np.stack([_edge(tiles[one], 3), _edge(tiles[other], 2)], axis=1)
            yield contacts(strip, core.row, core.col - 1, grid.width, connectedness)
        if row:
            strip = np.stack([_line(tiles, grid, row - 1, 1), _line(tiles, grid, row, 0)])
            yield contacts(strip, row * grid.core_px - 1, 0, grid.width, connectedness)


def _line(
    tiles: Mapping[Tile, tuple[BorderComponents, Any]], grid: Grid, row: int, side: int
) -> Ints:
    """The top or bottom edges of a row of tiles, `NONE` where there is no tile."""
    line = np.full(grid.width, NONE, np.int64)
    for col in range(grid.shape[1]):
        if Tile(row, col) in tiles:
            line[grid.core(Tile(row, col)).slices[1]] = _edge(tiles[Tile(row, col)], side)
    return line


def _edge(tile: tuple[BorderComponents, Any], side: int) -> Ints:
    part, start = tile
    edge = part.edges[side]
    return np.where(edge == NONE, NONE, edge + start)
