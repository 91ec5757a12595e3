r"""Read labels as class ids on the pixel grid of an image. Does not need torch.

    one band            ids      \
    one band, palette   either    \  read(window of the image) ──▶ (h, w) uint8
    three bands         colours   /                                0 … K-1, or `ignore`
    .gpkg .geojson ...  features /

Every reader refuses values that belong to no class of the legend, and names file, value and place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from segtasks.config.legend import ClassEntry, LabelRules
from segtasks.errors import JobError, SourceError
from segtasks.raster.grid import Window
from segtasks.raster.header import RasterHeader
from segtasks.raster.labels import NODATA
from segtasks.storage import raster_reader, vector_reader
from segtasks.storage.align import AlignedRaster, align
from segtasks.storage.vector_reader import Vectors

ClassIds = NDArray[np.uint8]

RGB_BANDS = 3
TWO_CLASSES = 2
BLACK = 0x000000


class Labels(Protocol):
    """Labels that are read by windows of the image for which they were opened."""

    @property
    def url(self) -> str:
        """The path or URL of the labels."""

    def read(self, window: Window) -> ClassIds:
        """Return class ids (h, w): 0 … K-1, and ``ignore`` where there is no label.

        Raises:
            SourceError: the window cannot be read, or has a value that is not in the legend.
        """


def open_labels(
    url: str,
    like: RasterHeader,
    legend: Sequence[ClassEntry],
    rules: LabelRules | None = None,
    *,
    ignore: int = NODATA,
) -> Labels:
    """Open labels for reading by windows of ``like``.

    Args:
        url: a raster, or a vector file with or without ``|layername=LAYER``.
        like: the image or mask that defines the pixel grid.
        legend: the classes with ids 0 … K-1 in order. Their colours are those of coloured masks.
        rules: void colours, values of classes, and how vectors are rasterised.
        ignore: the value without a class, in rasters of ids and in the result.

    Raises:
        SourceError: the file is missing, unreadable, or does not match the image (see `align`).
        JobError: legend or rules are not sufficient for labels of this kind.
    """
    rules = rules or LabelRules()
    if vector_reader.is_vector(url):
        return _open_vectors(url, like, legend, rules, ignore)
    raster = raster_reader.describe(url)
    if holds_colours(raster, legend):
        return ColourLabels(align(raster, like), ids_by_colour(legend, rules, ignore), ignore)
    source = align(_as_ids(raster), like)
    if rules.label_values:
        return ValueLabels(source, ids_by_value(legend, rules, ignore), ignore)
    return IdLabels(source, len(legend), ignore)


def class_raster(url: str) -> RasterHeader:
    """Read the header of a raster of class ids, whose values are ids even if it has a palette.

    Raises:
        SourceError: it is missing, has several bands, or its ids are no whole numbers.
    """
    return _as_ids(raster_reader.describe(url))


def holds_colours(raster: RasterHeader, legend: Sequence[ClassEntry]) -> bool:
    """Return whether a raster's values are colours of the legend instead of ids.

    Three bands of bytes are colours. A palette holds colours if it contains a class's colour at
    another index than the class's id. Black is not considered, because TIFF pads palettes with it.
    """
    if raster.palette is None:
        return len(raster.bands) == RGB_BANDS and raster.dtype == "uint8"
    palette = [red << 16 | green << 8 | blue for red, green, blue, _ in raster.palette]
    colours = [_number(entry.color) for entry in legend]
    return any(
        colour in palette and palette[class_id] != colour
        for class_id, colour in enumerate(colours)
        if colour != BLACK
    )


def ids_by_colour(legend: Sequence[ClassEntry], rules: LabelRules, ignore: int) -> dict[int, int]:
    """Return the class id (or ``ignore``) of each colour 0xRRGGBB, in ascending order of colour.

    Raises:
        JobError: two entries share a colour.
    """
    pairs = [(entry.color, entry.id) for entry in legend]
    pairs += [(color, ignore) for color in dict.fromkeys(rules.void_colors)]
    ids: dict[int, int] = {}
    for color, class_id in pairs:
        if _number(color) in ids:
            raise JobError(
                f"colour {color} is in the legend twice; coloured masks need a different colour "
                "for each class and for void"
            )
        ids[_number(color)] = class_id
    return dict(sorted(ids.items()))


def ids_by_value(legend: Sequence[ClassEntry], rules: LabelRules, ignore: int) -> dict[int, int]:
    """Return the class id (or ``ignore``) of each raster value, in ascending order of value.

    Raises:
        JobError: there is not exactly one value per class, or two classes share one.
    """
    values = rules.label_values
    if len(values) != len(legend) or len(set(values)) < len(values):
        raise JobError(
            f"label_values {', '.join(map(str, values))}: {len(legend)} classes need as many "
            "different values, in the order of the classes"
        )
    ids = {ignore: ignore} | {value: i for i, value in enumerate(values)}
    return dict(sorted(ids.items()))


def _as_ids(raster: RasterHeader) -> RasterHeader:
    if raster.palette is None and len(raster.bands) > 1:
        raise SourceError(
            f"{raster.url}: labels have {len(raster.bands)} bands of {raster.dtype}; give one band "
            "of class ids, or three of uint8 in the legend's colours"
        )
    if np.dtype(raster.dtype).kind not in "ui":
        raise SourceError(f"{raster.url}: class ids are {raster.dtype}; convert them to uint8")
    return replace(raster, palette=None, bands=raster.bands[:1])


def _open_vectors(
    url: str, like: RasterHeader, legend: Sequence[ClassEntry], rules: LabelRules, ignore: int
) -> "VectorLabels":
    layer = vector_reader.describe(url)
    column = rules.label_column
    if column is None and len(legend) != TWO_CLASSES:
        raise JobError(
            f"{url}: {len(legend)} classes need a column with the class of each feature; set "
            f"label_column to one of {', '.join(layer.columns) or '(the file has no columns)'}"
        )
    if column is not None and column not in layer.columns:
        raise SourceError(
            f"{url}: has no column {column}; set label_column to one of {', '.join(layer.columns)}"
        )
    vector_reader.require_place(layer, like)
    return VectorLabels(layer, like, tuple(entry.name for entry in legend), rules, ignore)


def _number(color: str) -> int:
    return int(color.removeprefix("#"), 16)


@dataclass(frozen=True)
class IdLabels:
    """A raster whose values are class ids 0 … ``classes`` - 1, or ``ignore``."""

    source: AlignedRaster
    classes: int
    ignore: int

    @property
    def url(self) -> str:
        """The path or URL of the labels."""
        return self.source.raster.url

    def read(self, window: Window) -> ClassIds:
        """Read class ids, see `Labels.read`."""
        image, valid = self.source.read(self.source.raster.bands, window)
        # int64, so that the message shows a negative or large id without wrap-around.
        values = image[0] if image.dtype == np.uint8 else image[0].astype(np.int64)
        ids = np.where(valid, values, self.ignore)
        unknown = (ids != self.ignore) & ((ids < 0) | (ids >= self.classes))
        if unknown.any():
            raise SourceError(
                f"{self.url}: label {ids[unknown][0]} is not in the legend (0 … "
                f"{self.classes - 1}), {_where(unknown, window)}; add the class, set `ignore`, or "
                "list the values of the classes in `label_values`"
            )
        return ids.astype(np.uint8)


@dataclass(frozen=True)
class ValueLabels:
    """A raster whose values encode classes; ``ids`` by value, in ascending order."""

    source: AlignedRaster
    ids: Mapping[int, int]
    ignore: int

    @property
    def url(self) -> str:
        """The path or URL of the labels."""
        return self.source.raster.url

    def read(self, window: Window) -> ClassIds:
        """Read class ids, see `Labels.read`."""
        image, valid = self.source.read(self.source.raster.bands, window)
        values = image[0].astype(np.int64)
        classes, known = _look_up(values, self.ids)
        unknown = valid & ~known
        if unknown.any():
            raise SourceError(
                f"{self.url}: label {values[unknown][0]} is none of `label_values` ("
                f"{', '.join(map(str, self.ids))}), {_where(unknown, window)}; add it there"
            )
        return np.where(valid, classes, np.uint8(self.ignore))


@dataclass(frozen=True)
class ColourLabels:
    """A raster of the legend's colours; ``ids`` by colour 0xRRGGBB, in ascending order."""

    source: AlignedRaster
    ids: Mapping[int, int]
    ignore: int

    @property
    def url(self) -> str:
        """The path or URL of the labels."""
        return self.source.raster.url

    def read(self, window: Window) -> ClassIds:
        """Read class ids, see `Labels.read`."""
        image, valid = self.source.read(self.source.raster.bands, window)
        red, green, blue = image.astype(np.uint32)
        colours = red << 16 | green << 8 | blue
        classes, known = _look_up(colours, self.ids)
        unknown = valid & ~known
        if unknown.any():
            raise SourceError(
                f"{self.url}: colour #{colours[unknown][0]:06x} is not in the legend, "
                f"{_where(unknown, window)}; add a class or a void colour (JPEG changes colours; "
                "use a lossless format)"
            )
        return np.where(valid, classes, np.uint8(self.ignore))


@dataclass(frozen=True)
class VectorLabels:
    """Features rasterised on the grid of ``like``; where several overlap, the last one counts."""

    source: Vectors
    like: RasterHeader
    names: Sequence[str]
    rules: LabelRules
    ignore: int

    @property
    def url(self) -> str:
        """The path or URL of the labels."""
        return self.source.url

    def read(self, window: Window) -> ClassIds:
        """Read class ids, see `Labels.read`."""
        found = vector_reader.features(self.source, self.like, window, self.rules.label_column)
        ids = [self._class_of(value) for value in found.values]
        fill = 0 if self.rules.uncovered == "first_class" else self.ignore
        touched = self.rules.all_touched
        return vector_reader.burn(found.shapes, ids, window, fill=fill, all_touched=touched)

    def _class_of(self, value: Any) -> int:  # noqa: ANN401 - any type of a column
        """Return the class of a feature by name or id, or ``ignore`` if the column is empty."""
        if self.rules.label_column is None:
            return 1
        if value is None:
            return self.ignore
        if value in self.names:
            return self.names.index(value)
        class_id = _integer(value)
        if class_id != self.ignore and class_id not in range(len(self.names)):
            self._refuse(value)
        return class_id

    def _refuse(self, value: object) -> NoReturn:
        raise SourceError(
            f"{self.url}: a feature's {self.rules.label_column} is {value!r}, which is not in the "
            f"legend ({', '.join(self.names)}; 0 … {len(self.names) - 1}); add the class"
        )


def _look_up(
    values: NDArray[np.integer[Any]], ids: Mapping[int, int]
) -> tuple[ClassIds, NDArray[np.bool_]]:
    """Return the ids (h, w) of values, and which values are known; keys of ``ids`` ascend."""
    known = np.array(list(ids), values.dtype)
    index = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.array(list(ids.values()), np.uint8)[index], known[index] == values


def _integer(value: Any) -> int:  # noqa: ANN401 - see _class_of
    """Return a value as an integer, or -1 if it is none."""
    try:
        return int(value) if int(value) == float(value) else -1
    except (TypeError, ValueError, OverflowError):
        return -1


def _where(unknown: NDArray[np.bool_], window: Window) -> str:
    """Describe the number of pixels and the place of the first one on the image."""
    row, col = np.argwhere(unknown)[0].tolist()
    return (
        f"{int(unknown.sum())} px of rows {window.row}-{window.row_stop}, columns {window.col}-"
        f"{window.col_stop}, first at row {window.row + row}, column {window.col + col}"
    )
