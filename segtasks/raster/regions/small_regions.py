"""Remove regions below a minimum mapping unit, tile by tile, with the result of the whole image.

The rule is that of GDAL's sieve (``gdal_sieve.py``, GDALSieveFilter). A component with fewer pixels
than the minimum is merged into its largest neighbour; among neighbours of equal size, into the one
that comes first in row order. If that neighbour is too small itself, both are merged into the
neighbour's own target. If the targets form a cycle, or a component has no neighbour, the component
keeps its class. Sizes are those before any merging. Nodata pixels are no neighbours.

    border_components_of    each tile: the components that other tiles must know
    resolve_small_regions   once: joins components across tile borders, finds their new classes
    merge_small_regions     each tile: the new class of all its components

A component that touches no tile border has all its neighbours in its own tile, so its class follows
from theirs. Other tiles therefore need only the components that touch a tile border, and the small
inner components into which one of those may be merged: about 100 bytes each. Their number grows
with the total length of the tile borders (at tiles of 2048 px a thousandth of the pixels), not with
the number of speckles.
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
    concatenate,
    contacts,
    union_find,
)

UNCHANGED = NODATA
"""Marks a small component that is merged into no large one and keeps its class."""


@dataclass(frozen=True, slots=True)
class BorderComponents:
    """The components of one tile that other tiles must know.

    Attributes:
        classes: class id per component (n,); components at the tile border come first, by id.
        sizes: number of pixels in this tile per component (n,).
        contacts: the neighbours into which a small component may be merged, as indices into
            ``classes``.
        edges: index of the component at each pixel of the top, bottom, left and right edge.
    """

    classes: Bytes
    sizes: Ints
    contacts: Contacts
    edges: tuple[Ints, Ints, Ints, Ints]

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fields as named arrays, for a tile's table in the workspace."""
        own: dict[str, npt.NDArray[Any]] = {"classes": self.classes, "sizes": self.sizes}
        met = {"one": self.contacts.one, "other": self.contacts.other, "at": self.contacts.at}
        return own | met | {f"edge{side}": edge for side, edge in enumerate(self.edges)}

    @classmethod
    def of(cls, table: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build the object from the arrays that `table` returned."""
        top, bottom, left, right = (table[f"edge{side}"] for side in range(4))
        met = Contacts(table["one"], table["other"], table["at"])
        return cls(table["classes"], table["sizes"], met, (top, bottom, left, right))


@dataclass(frozen=True, slots=True)
class ResolvedBorder:
    """The result for the components at one tile's border.

    Attributes:
        sizes: number of pixels in the whole raster per component (n,).
        fates: new class per component (n,), or `UNCHANGED`.
    """

    sizes: Ints
    fates: Bytes


def border_components_of(found: Components, least_px: int) -> BorderComponents:
    """Return the components of a tile that other tiles must know.

    Args:
        found: all components of the tile.
        least_px: components with fewer pixels are merged into a neighbour.
    """
    at_border = found.touches_border()
    merges = found.contacts.both_ways()
    merges = merges.take(np.flatnonzero(found.sizes[merges.one] < least_px))
    to_border = at_border[merges.other]
    inward = merges.take(np.flatnonzero(~to_border))
    best = inward.take(_largest_neighbour(inward, found.sizes))
    needed = _reachable(at_border, best)
    kept = concatenate([_first_contacts(merges.take(np.flatnonzero(to_border))), best])
    kept = kept.take(np.flatnonzero(needed[kept.one]))
    order = np.concatenate([np.flatnonzero(at_border), np.flatnonzero(needed & ~at_border)])
    # One more entry: NONE is -1 and thus indexes the last one, which stays NONE.
    index = np.full(len(at_border) + 1, NONE, np.int64)
    index[order] = np.arange(len(order))
    lines = (found.ids[0], found.ids[-1], found.ids[:, 0], found.ids[:, -1])
    top, bottom, left, right = (index[line] for line in lines)
    return BorderComponents(
        found.classes[order], found.sizes[order], kept.relabelled(index), (top, bottom, left, right)
    )


def resolve_small_regions(
    tiles: Mapping[Tile, BorderComponents], grid: Grid, connectedness: int, least_px: int
) -> Iterator[ResolvedBorder]:
    """Join components across tile borders and find the new class of each small one.

    Args:
        tiles: the border components per tile; a tile of ``grid`` that is missing is all nodata.
        grid: the tiles of the raster.
        connectedness: 4, or 8 to connect diagonally as well.
        least_px: components with fewer pixels are merged into a neighbour.

    Yields:
        The result for each tile, in the order of ``tiles``.
    """
    parts = list(tiles.values())
    starts = np.cumsum([0, *(len(part.classes) for part in parts)])
    placed = dict(zip(tiles, zip(parts, starts, strict=False), strict=True))
    classes = np.concatenate([part.classes for part in parts])
    across = concatenate(list(_seams(placed, grid, connectedness)))
    alike = classes[across.one] == classes[across.other]
    roots = union_find(len(classes), across.one[alike], across.other[alike])
    sizes = np.zeros(len(classes), np.int64)
    np.add.at(sizes, roots, np.concatenate([part.sizes for part in parts]))
    inner = [
        Contacts(part.contacts.one + start, part.contacts.other + start, part.contacts.at)
        for part, start in zip(parts, starts, strict=False)
    ]
    merges = concatenate([*inner, across.take(np.flatnonzero(~alike)).both_ways()])
    is_large = sizes >= least_px
    known = np.where(is_large, classes, UNCHANGED)
    fates = _new_classes(merges.relabelled(roots), sizes, known, is_large)
    for part, start in zip(parts, starts, strict=False):
        own = roots[start : start + len(part.classes)]
        yield ResolvedBorder(sizes[own], fates[own])


def merge_small_regions(found: Components, border: ResolvedBorder, least_px: int) -> Bytes:
    """Return the sieved mask (h, w) of a tile.

    Args:
        found: all components of the tile.
        border: the result of `resolve_small_regions` for this tile. Entries after the components
            at the border are not used.
        least_px: components with fewer pixels are merged into a neighbour.
    """
    at_border = np.flatnonzero(found.touches_border())
    count = len(at_border)
    sizes, is_known = found.sizes.copy(), found.sizes >= least_px
    fates = np.where(is_known, found.classes, UNCHANGED)
    sizes[at_border], fates[at_border] = border.sizes[:count], border.fates[:count]
    is_known[at_border] = True
    fates = _new_classes(found.contacts.both_ways(), sizes, fates, is_known)
    # One more entry: NONE is -1 and thus indexes the last one, which is nodata.
    final = np.append(np.where(fates == UNCHANGED, found.classes, fates), np.uint8(NODATA))
    mask: Bytes = final[found.ids]
    return mask


def _new_classes(
    merges: Contacts, sizes: Ints, fates: Bytes, is_known: npt.NDArray[np.bool_]
) -> Bytes:
    """Follow each component's largest neighbour to one of known class; `UNCHANGED` in a cycle."""
    target = np.arange(len(sizes))
    best = merges.take(_largest_neighbour(merges, sizes))
    target[best.one] = best.other
    target[is_known] = np.flatnonzero(is_known)
    # Pointer jumping: each round doubles the length of the chains that are followed.
    for _ in range(len(sizes).bit_length()):
        target = target[target]
    return np.where(is_known[target], fates[target], np.uint8(UNCHANGED)).astype(np.uint8)


def _largest_neighbour(merges: Contacts, sizes: Ints) -> Ints:
    """Return the index of each component's contact with its largest neighbour, then the first."""
    order = np.lexsort((merges.at, -sizes[merges.other], merges.one))
    return order[np.flatnonzero(np.diff(merges.one[order], prepend=NONE))]


def _first_contacts(pairs: Contacts) -> Contacts:
    """Return the first contact of each pair."""
    order = np.lexsort((pairs.at, pairs.other, pairs.one))
    ordered = pairs.take(order)
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = np.diff(ordered.one).astype(np.bool_) | np.diff(ordered.other).astype(np.bool_)
    return ordered.take(np.flatnonzero(is_new))


def _reachable(at_border: npt.NDArray[np.bool_], best: Contacts) -> npt.NDArray[np.bool_]:
    """Return which components are at the border or are merge targets of such ones."""
    reached, count = at_border.copy(), -1
    while count != (count := int(np.count_nonzero(reached))):
        reached[best.other[reached[best.one]]] = True
    return reached


def _seams(
    tiles: Mapping[Tile, tuple[BorderComponents, Any]], grid: Grid, connectedness: int
) -> Iterator[Contacts]:
    """Yield the contacts across tile borders: along each row of tiles, then between two rows."""
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
    """Return the top or bottom edges of a row of tiles, `NONE` where there is no tile."""
    line = np.full(grid.width, NONE, np.int64)
    for col in range(grid.shape[1]):
        if Tile(row, col) in tiles:
            line[grid.core(Tile(row, col)).slices[1]] = _edge(tiles[Tile(row, col)], side)
    return line


def _edge(tile: tuple[BorderComponents, Any], side: int) -> Ints:
    part, start = tile
    edge = part.edges[side]
    return np.where(edge == NONE, NONE, edge + start)
