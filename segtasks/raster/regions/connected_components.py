"""Connected components of a class mask and their contacts, computed with numpy array operations.

A mask is cut into runs (adjacent pixels of one class in a row), and runs of one class that touch
are joined. Components are numbered in row order of their first pixel. Nodata is no component.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.raster.grid import Window
from segtasks.raster.labels import NODATA

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.signedinteger[Any]]

NONE = -1
"""Id at nodata pixels, which belong to no component."""
ABOVE, LEFT = (-1, 0), (0, -1)
OFFSETS = {4: {0: ABOVE, 3: LEFT}, 8: {0: ABOVE, 1: (-1, -1), 2: (-1, 1), 3: LEFT}}
"""Rank and (row, column) of the earlier neighbours of a pixel, in the order of GDAL's sieve."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """Pairs of neighbouring components, and the place in the raster where each pair meets.

    Attributes:
        one: id of one component of each pair (n,).
        other: id of the other component of each pair (n,).
        at: 4 x (index of ``one``'s pixel in the raster, in row order) + rank of the neighbour
            (n,). This is the order in which GDAL's sieve visits contacts; it does not depend on
            the tiles.
    """

    one: Ints
    other: Ints
    at: Ints

    def take(self, index: npt.NDArray[Any]) -> "Contacts":
        """Return the contacts at ``index``."""
        return Contacts(self.one[index], self.other[index], self.at[index])

    def relabelled(self, ids: Ints) -> "Contacts":
        """Return the contacts with every id replaced by ``ids[id]``."""
        return Contacts(ids[self.one], ids[self.other], self.at)

    def both_ways(self) -> "Contacts":
        """Return each pair in both orders."""
        return concatenate([self, Contacts(self.other, self.one, self.at)])


@dataclass(frozen=True, slots=True)
class Components:
    """Components of a window.

    Attributes:
        ids: component of each pixel (h, w), `NONE` at nodata.
        classes: class id of each component (n,).
        sizes: pixels of each component (n,).
        contacts: contacts of components of different classes; a pair may occur more than once.
    """

    ids: npt.NDArray[np.int32]
    classes: Bytes
    sizes: Ints
    contacts: Contacts

    def touches_border(self) -> npt.NDArray[np.bool_]:
        """Return whether each component (n,) touches the border of the window."""
        found = np.zeros(len(self.classes), np.bool_)
        for line in (self.ids[0], self.ids[-1], self.ids[:, 0], self.ids[:, -1]):
            found[line[line != NONE]] = True
        return found


def components(mask: Bytes, window: Window, width: int, connectedness: int = 4) -> Components:
    """Label the connected components of a window.

    Args:
        mask: class ids (h, w) of the window.
        window: the place of ``mask`` in the raster.
        width: number of columns of the raster.
        connectedness: 4, or 8 to connect diagonally as well.
    """
    starts = np.ones(mask.shape, np.bool_)
    starts[:, 1:] = mask[:, 1:] != mask[:, :-1]
    runs = (np.cumsum(starts.ravel()) - 1).reshape(mask.shape)
    classes, lengths = mask[starts], np.diff(np.flatnonzero(starts.ravel()), append=mask.size)
    touching = contacts(runs, window.row, window.col, width, connectedness)
    alike = classes[touching.one] == classes[touching.other]
    roots = union_find(len(classes), touching.one[alike], touching.other[alike])
    is_data = classes != NODATA
    firsts, numbers = np.unique(roots[is_data], return_inverse=True)
    ids = np.full(len(classes), NONE, np.int64)
    ids[is_data] = numbers
    sizes = np.zeros(len(firsts), np.int64)
    np.add.at(sizes, ids[is_data], lengths[is_data])
    apart = touching.take(np.flatnonzero(~alike)).relabelled(ids)
    apart = apart.take(np.flatnonzero((apart.one != NONE) & (apart.other != NONE)))
    return Components(ids.astype(np.int32)[runs], classes[firsts], sizes, apart)


def contacts(ids: Ids, row: int, col: int, width: int, connectedness: int) -> Contacts:
    """Find where two different ids are neighbours; `NONE` has no neighbours.

    Args:
        ids: component ids (h, w) of a window.
        row: first row of the window in the raster.
        col: first column of the window in the raster.
        width: number of columns of the raster.
        connectedness: 4, or 8 to connect diagonally as well.
    """
    found = []
    for rank, (rows, cols) in OFFSETS[connectedness].items():
        one, other = _shifted(ids, rows, cols)
        is_new = (one != other) & (one != NONE) & (other != NONE)
        # The same pair one column to the left is the same contact.
        is_new[:, 1:] &= (one[:, 1:] != one[:, :-1]) | (other[:, 1:] != other[:, :-1])
        at_row, at_col = np.nonzero(is_new)
        pixels = (at_row + row - rows) * width + at_col + col + max(0, -cols)
        found.append(
            Contacts(
                one[is_new].astype(np.int64), other[is_new].astype(np.int64), 4 * pixels + rank
            )
        )
    return concatenate(found)


def concatenate(parts: list[Contacts]) -> Contacts:
    """Return the contacts of all parts in one."""
    empty = np.zeros(0, np.int64)
    return Contacts(
        np.concatenate([empty, *(part.one for part in parts)]),
        np.concatenate([empty, *(part.other for part in parts)]),
        np.concatenate([empty, *(part.at for part in parts)]),
    )


def union_find(count: int, one: Ints, other: Ints) -> Ints:
    """Return the smallest member of each member's set (n,); ``one[i]``, ``other[i]`` share a set.

    Every root is attached to its smallest neighbour and all paths are then compressed, until no
    pair has two roots (Shiloach and Vishkin 1982, doi:10.1016/0196-6774(82)90008-6).
    """
    parents = np.arange(count)
    while len(one):
        np.minimum.at(parents, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(above := parents[parents], parents):
            parents = above
        one, other = parents[one], parents[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return parents


def _shifted(ids: Ids, rows: int, cols: int) -> tuple[Ids, Ids]:
    """Return every pixel that has a neighbour at (``rows``, ``cols``), and that neighbour."""
    height, width = ids.shape
    right, left = max(0, cols), max(0, -cols)
    return ids[-rows:, left : width - right], ids[: height + rows, right : width - left]
