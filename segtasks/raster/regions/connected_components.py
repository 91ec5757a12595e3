"""Connected components of a class mask, and where they meet: numpy alone, no pixel in Python.

A mask is cut into runs (pixels of one class side by side in a row); runs that touch are joined.
Components are numbered by their first pixel, row by row; nodata belongs to none.
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
"""Id of what is no component: nodata."""
ABOVE, LEFT = (-1, 0), (0, -1)
OFFSETS = {4: {0: ABOVE, 3: LEFT}, 8: {0: ABOVE, 1: (-1, -1), 2: (-1, 1), 3: LEFT}}
"""Rank and (row, column) of the earlier neighbours of a pixel, in the order GDAL's sieve asks."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """Pairs of ids (n,) that meet, and where in the raster each pair meets (n,).

    ``at`` is 4 x (pixel of ``one`` in the raster, row by row) + rank of the neighbour: the order
    in which GDAL's sieve sees contacts, whatever the tiles.
    """

    one: Ints
    other: Ints
    at: Ints

    def take(self, index: npt.NDArray[Any]) -> "Contacts":
        """Some of them."""
        return Contacts(self.one[index], self.other[index], self.at[index])

    def renamed(self, ids: Ints) -> "Contacts":
        """With ``ids[id]`` for every id."""
        return Contacts(ids[self.one], ids[self.other], self.at)

    def both_ways(self) -> "Contacts":
        """Each pair in both orders."""
        return joined([self, Contacts(self.other, self.one, self.at)])


@dataclass(frozen=True, slots=True)
class Components:
    """Components of a window.

    Attributes:
        ids: component of each pixel (h, w), `NONE` at nodata.
        classes: class id of each component (n,).
        sizes: pixels of each component (n,).
        contacts: of components of different classes; a pair may be there more than once.
    """

    ids: npt.NDArray[np.int32]
    classes: Bytes
    sizes: Ints
    contacts: Contacts

    def on_rim(self) -> npt.NDArray[np.bool_]:
        """Whether each component (n,) touches the window's rim."""
        found = np.zeros(len(self.classes), np.bool_)
        for line in (self.ids[0], self.ids[-1], self.ids[:, 0], self.ids[:, -1]):
            found[line[line != NONE]] = True
        return found


def components(mask: Bytes, window: Window, width: int, connectedness: int = 4) -> Components:
    """The components of ``mask`` (h, w), which is ``window`` of a raster of ``width`` columns."""
    starts = np.ones(mask.shape, np.bool_)
    starts[:, 1:] = mask[:, 1:] != mask[:, :-1]
    runs = (np.cumsum(starts.ravel()) - 1).reshape(mask.shape)
    classes, lengths = mask[starts], np.diff(np.flatnonzero(starts.ravel()), append=mask.size)
    met = contacts(runs, window.row, window.col, width, connectedness)
    alike = classes[met.one] == classes[met.other]
    roots = connected(len(classes), met.one[alike], met.other[alike])
    is_data = classes != NODATA
    firsts, numbers = np.unique(roots[is_data], return_inverse=True)
    ids = np.full(len(classes), NONE, np.int64)
    ids[is_data] = numbers
    sizes = np.zeros(len(firsts), np.int64)
    np.add.at(sizes, ids[is_data], lengths[is_data])
    apart = met.take(np.flatnonzero(~alike)).renamed(ids)
    apart = apart.take(np.flatnonzero((apart.one != NONE) & (apart.other != NONE)))
    return Components(ids.astype(np.int32)[runs], classes[firsts], sizes, apart)


def contacts(ids: Ids, row: int, col: int, width: int, connectedness: int) -> Contacts:
    """Where two different ids (h, w) are neighbours; `NONE` has no neighbours.

    Args:
        ids: whose pixel (0, 0) is (``row``, ``col``) of the raster.
        row: in the raster.
        col: in the raster.
        width: columns of the raster.
        connectedness: 4, or 8 with diagonals.
    """
    found = []
    for rank, (rows, cols) in OFFSETS[connectedness].items():
        one, other = _shifted(ids, rows, cols)
        is_new = (one != other) & (one != NONE) & (other != NONE)
        # Where the pair to the left is the same, it has met already.
        is_new[:, 1:] &= (one[:, 1:] != one[:, :-1]) | (other[:, 1:] != other[:, :-1])
        at_row, at_col = np.nonzero(is_new)
        pixels = (at_row + row - rows) * width + at_col + col + max(0, -cols)
        found.append(
            Contacts(
                one[is_new].astype(np.int64), other[is_new].astype(np.int64), 4 * pixels + rank
            )
        )
    return joined(found)


def joined(parts: list[Contacts]) -> Contacts:
    """All contacts of all parts."""
    empty = np.zeros(0, np.int64)
    return Contacts(
        np.concatenate([empty, *(part.one for part in parts)]),
        np.concatenate([empty, *(part.other for part in parts)]),
        np.concatenate([empty, *(part.at for part in parts)]),
    )


def connected(count: int, one: Ints, other: Ints) -> Ints:
    """The least member of each set (n,), where ``one[i]`` and ``other[i]`` are in one set.

    Every root hangs itself below its least neighbour, then all paths are cut short, until no pair
    has two roots (Shiloach and Vishkin 1982, doi:10.1016/0196-6774(82)90008-6).
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
    """Every pixel that has a neighbour at (``rows``, ``cols``), and that neighbour."""
    height, width = ids.shape
    right, left = max(0, cols), max(0, -cols)
    return ids[-rows:, left : width - right], ids[: height + rows, right : width - left]
