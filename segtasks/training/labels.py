r"""Labels of an image, whatever they rest in, as class ids on the image's own pixel grid.

    one band            ids      \
    one band, palette   either    \  read(window of the image) ──▶ (h, w) uint8
    three bands         colours   /                                0 … K-1, or `ignore`
    .gpkg .geojson ...  features /

Needs no torch.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from segtasks.errors import JobError, SourceError
from segtasks.grid import Window
from segtasks.networks.card import ClassEntry
from segtasks.raster import Raster
from segtasks.storage import rasters, vectors
from segtasks.storage.aligned import align
from segtasks.training.codes import ClassIds, ColourLabels, IdLabels, ValueLabels, VectorLabels
from segtasks.training.legend import LabelRules

IGNORE = 255
RGB_BANDS = 3
TWO_CLASSES = 2
BLACK = 0x000000


class Labels(Protocol):
    """Class ids by windows of the image they were opened for."""

    @property
    def url(self) -> str:
        """Where they rest."""

    def read(self, window: Window) -> ClassIds:
        """Return class ids (h, w): 0 … K-1, and ``ignore`` where nothing is known.

        Raises:
            SourceError: the window cannot be read, or holds what is not in the legend.
        """


def open_labels(
    url: str,
    like: Raster,
    legend: Sequence[ClassEntry],
    rules: LabelRules | None = None,
    *,
    ignore: int = IGNORE,
) -> Labels:
    """Open labels for reading by windows of ``like``.

    Args:
        url: a raster, or a vector file with or without ``|layername=LAYER``.
        like: the image, or mask, whose pixel grid they are wanted on.
        legend: the classes, ids 0 … K-1 in order; their colours are those of coloured masks.
        rules: void colours, and how vectors are burnt.
        ignore: what is no class: in rasters of ids, and in what is read.

    Raises:
        SourceError: missing, unreadable, or not on the image (see `aligned.align`).
        JobError: legend or rules do not suffice for labels of this kind.
    """
    rules = rules or LabelRules()
    if vectors.is_vector(url):
        return _open_vectors(url, like, legend, rules, ignore)
    raster = rasters.describe(url)
    if holds_colours(raster, legend):
        return ColourLabels(align(raster, like), ids_by_colour(legend, rules, ignore), ignore)
    source = align(_as_ids(raster), like)
    if rules.label_values:
        return ValueLabels(source, ids_by_value(legend, rules, ignore), ignore)
    return IdLabels(source, len(legend), ignore)


def class_raster(url: str) -> Raster:
    """Describe a raster of class ids: its one band, not the colours of its palette.

    Raises:
        SourceError: it is missing, has several bands, or its ids are no whole numbers.
    """
    return _as_ids(rasters.describe(url))


def holds_colours(raster: Raster, legend: Sequence[ClassEntry]) -> bool:
    """Whether a raster's values are colours of the legend, not ids.

    Three bands of bytes are. A palette is when a class's colour stands in it, but not at the
    class's id; black aside, with which TIFF fills palettes up.
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
    """Return class id or ``ignore`` of each colour, 0xRRGGBB, in rising order.

    Raises:
        JobError: two entries share a colour.
    """
    named = [(entry.color, entry.id) for entry in legend]
    named += [(color, ignore) for color in dict.fromkeys(rules.void_colors)]
    ids: dict[int, int] = {}
    for color, class_id in named:
        if _number(color) in ids:
            raise JobError(
                f"colour {color} is in the legend twice; coloured masks need one for each class, "
                "and others for void"
            )
        ids[_number(color)] = class_id
    return dict(sorted(ids.items()))


def ids_by_value(legend: Sequence[ClassEntry], rules: LabelRules, ignore: int) -> dict[int, int]:
    """Return class id or ``ignore`` of each value of a raster, in rising order.

    Raises:
        JobError: not one value for each class, or one for two.
    """
    values = rules.label_values
    if len(values) != len(legend) or len(set(values)) < len(values):
        raise JobError(
            f"label_values {', '.join(map(str, values))}: {len(legend)} classes need as many "
            "different values, in their order"
        )
    ids = {ignore: ignore} | {value: i for i, value in enumerate(values)}
    return dict(sorted(ids.items()))


def _as_ids(raster: Raster) -> Raster:
    if raster.palette is None and len(raster.bands) > 1:
        raise SourceError(
            f"{raster.url}: labels have {len(raster.bands)} bands of {raster.dtype}; give one band "
            "of class ids, or three of uint8 in the legend's colours"
        )
    if np.dtype(raster.dtype).kind not in "ui":
        raise SourceError(f"{raster.url}: class ids are {raster.dtype}; convert them to uint8")
    return replace(raster, palette=None, bands=raster.bands[:1])


def _open_vectors(
    url: str, like: Raster, legend: Sequence[ClassEntry], rules: LabelRules, ignore: int
) -> VectorLabels:
    layer = vectors.describe(url)
    column = rules.label_column
    if column is None and len(legend) != TWO_CLASSES:
        raise JobError(
            f"{url}: which of {len(legend)} classes is a feature? name the column that says it, "
            f"label_column: {', '.join(layer.columns) or 'the file has none'}"
        )
    if column is not None and column not in layer.columns:
        raise SourceError(
            f"{url}: has no column {column}; set label_column to one of {', '.join(layer.columns)}"
        )
    vectors.require_place(layer, like)
    return VectorLabels(layer, like, tuple(entry.name for entry in legend), rules, ignore)


def _number(color: str) -> int:
    return int(color.removeprefix("#"), 16)
