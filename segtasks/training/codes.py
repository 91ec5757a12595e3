"""Three ways labels stand for class ids: as ids, as colours, as features of a vector file.

Each reads windows of the image it was opened for (`labels.open_labels`) and refuses, with file,
value and place, what stands for no class of the legend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from segtasks.errors import SourceError
from segtasks.grid import Window
from segtasks.raster import Raster
from segtasks.storage import vectors
from segtasks.storage.aligned import Aligned
from segtasks.storage.vectors import Vectors
from segtasks.training.legend import LabelRules

ClassIds = NDArray[np.uint8]


@dataclass(frozen=True)
class IdLabels:
    """A raster whose values are class ids 0 … ``classes`` - 1, or ``ignore``."""

    source: Aligned
    classes: int
    ignore: int

    @property
    def url(self) -> str:
        """Where they rest."""
        return self.source.raster.url

    def read(self, window: Window) -> ClassIds:
        """See `labels.Labels.read`."""
        image, valid = self.source.read(self.source.raster.bands, window)
        # int64: a negative or large id is named as it is, not wrapped around.
        values = image[0] if image.dtype == np.uint8 else image[0].astype(np.int64)
        ids = np.where(valid, values, self.ignore)
        strange = (ids != self.ignore) & ((ids < 0) | (ids >= self.classes))
        if strange.any():
            raise SourceError(
                f"{self.url}: label {ids[strange][0]} is not in the legend (0 … "
                f"{self.classes - 1}), {_where(strange, window)}; add the class, set `ignore`, or "
                "say with `label_values` what stands for the classes"
            )
        return ids.astype(np.uint8)


@dataclass(frozen=True)
class ValueLabels:
    """A raster whose values stand for classes; ``ids`` by value, in rising order."""

    source: Aligned
    ids: Mapping[int, int]
    ignore: int

    @property
    def url(self) -> str:
        """Where they rest."""
        return self.source.raster.url

    def read(self, window: Window) -> ClassIds:
        """See `labels.Labels.read`."""
        image, valid = self.source.read(self.source.raster.bands, window)
        values = image[0].astype(np.int64)
        classes, known = _looked_up(values, self.ids)
        strange = valid & ~known
        if strange.any():
            raise SourceError(
                f"{self.url}: label {values[strange][0]} is none of `label_values` ("
                f"{', '.join(map(str, self.ids))}), {_where(strange, window)}; add it there"
            )
        return np.where(valid, classes, np.uint8(self.ignore))


@dataclass(frozen=True)
class ColourLabels:
    """A raster whose colours are the legend's; ``ids`` by colour, 0xRRGGBB, in rising order."""

    source: Aligned
    ids: Mapping[int, int]
    ignore: int

    @property
    def url(self) -> str:
        """Where they rest."""
        return self.source.raster.url

    def read(self, window: Window) -> ClassIds:
        """See `labels.Labels.read`."""
        image, valid = self.source.read(self.source.raster.bands, window)
        red, green, blue = image.astype(np.uint32)
        colours = red << 16 | green << 8 | blue
        classes, known = _looked_up(colours, self.ids)
        strange = valid & ~known
        if strange.any():
            raise SourceError(
                f"{self.url}: colour #{colours[strange][0]:06x} is not in the legend, "
                f"{_where(strange, window)}; add a class or a void colour (no JPEG: it blurs them)"
            )
        return np.where(valid, classes, np.uint8(self.ignore))


@dataclass(frozen=True)
class VectorLabels:
    """Features burnt on the grid of ``like``; of several over one pixel the last in the file."""

    source: Vectors
    like: Raster
    names: Sequence[str]
    rules: LabelRules
    ignore: int

    @property
    def url(self) -> str:
        """Where they rest."""
        return self.source.url

    def read(self, window: Window) -> ClassIds:
        """See `labels.Labels.read`."""
        found = vectors.features(self.source, self.like, window, self.rules.label_column)
        ids = [self._class_of(value) for value in found.values]
        fill = 0 if self.rules.uncovered == "first_class" else self.ignore
        touched = self.rules.all_touched
        return vectors.burn(found.shapes, ids, window, fill=fill, all_touched=touched)

    def _class_of(self, value: Any) -> int:  # noqa: ANN401 - whatever a column holds
        """Return the class of a feature by name or id; ``ignore`` where the column is empty."""
        if self.rules.label_column is None:
            return 1
        if value is None:
            return self.ignore
        if value in self.names:
            return self.names.index(value)
        class_id = _whole(value)
        if class_id != self.ignore and class_id not in range(len(self.names)):
            self._refuse(value)
        return class_id

    def _refuse(self, value: object) -> NoReturn:
        raise SourceError(
            f"{self.url}: a feature's {self.rules.label_column} is {value!r}, which is not in the "
            f"legend ({', '.join(self.names)}; 0 … {len(self.names) - 1}); add the class"
        )


def _looked_up(
    values: NDArray[np.integer[Any]], ids: Mapping[int, int]
) -> tuple[ClassIds, NDArray[np.bool_]]:
    """Return the ids (h, w) of values, ``ids`` being in rising order, and where there are any."""
    listed = np.array(list(ids), values.dtype)
    place = np.minimum(np.searchsorted(listed, values), len(listed) - 1)
    return np.array(list(ids.values()), np.uint8)[place], listed[place] == values


def _whole(value: Any) -> int:  # noqa: ANN401 - see _class_of
    """Return a value as a class id, -1 when it is none."""
    try:
        return int(value) if int(value) == float(value) else -1
    except (TypeError, ValueError, OverflowError):
        return -1


def _where(strange: NDArray[np.bool_], window: Window) -> str:
    """Return how many pixels and the first one's place on the image."""
    row, col = np.argwhere(strange)[0].tolist()
    return (
        f"{int(strange.sum())} px of rows {window.row}-{window.row_stop}, columns {window.col}-"
        f"{window.col_stop}, first at row {window.row + row}, column {window.col + col}"
    )
