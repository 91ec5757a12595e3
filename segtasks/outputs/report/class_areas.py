"""The area of each class in pixels and in m², in one pass over the finished mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segtasks.config.legend import ClassEntry
from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import RasterHeader
from segtasks.raster.labels import NODATA
from segtasks.raster.pixel_area import PixelAreas, pixel_areas
from segtasks.storage.cog import ReadMask

WINDOW_PX = 1024
ALIKE = 1e-3
"""Where the pixels of a window differ less in area, they count with their mean."""
IDS = NODATA + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArea:
    """One class: pixels, share of all pixels with data, and m² (``None``: not known)."""

    name: str
    color: str
    pixels: int
    share: float
    m2: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """All classes in order of their ids, and the share of the raster that is nodata."""

    classes: tuple[ClassArea, ...]
    nodata_share: float
    valid_m2: float | None


def measure_areas(raster: RasterHeader, legend: Sequence[ClassEntry], read: ReadMask) -> Areas:
    """Return the areas of the classes, within 0.1 % of the sum of the true pixel areas."""
    ground = pixel_areas(raster)
    pixels, m2 = np.zeros(IDS, np.int64), np.zeros(IDS)
    grid = Grid(raster.height, raster.width, WINDOW_PX)
    for tile in grid.tiles():
        window = grid.core(tile)
        ids = read(window).ravel()
        counts = np.bincount(ids, minlength=IDS)
        pixels += counts
        if ground:
            m2 += _areas(ground, window, ids, counts)
    return _areas_of(legend, pixels, m2 if ground else None)


def _areas(
    ground: PixelAreas, window: Window, ids: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return m² per class id (256,) of a window."""
    mean, spread = ground.spread(window)
    if spread < ALIKE:
        return np.asarray(counts * mean, np.float64)
    weighed = np.bincount(ids, weights=ground.read(window).ravel(), minlength=IDS)
    return np.asarray(weighed, np.float64)


def _areas_of(
    legend: Sequence[ClassEntry],
    pixels: npt.NDArray[np.int64],
    m2: npt.NDArray[np.float64] | None,
) -> Areas:
    valid = int(pixels[:NODATA].sum())
    return Areas(
        classes=tuple(
            ClassArea(
                name=entry.name,
                color=entry.color,
                pixels=int(pixels[entry.id]),
                share=float(pixels[entry.id] / max(valid, 1)),
                m2=None if m2 is None else float(m2[entry.id]),
            )
            for entry in legend
        ),
        nodata_share=float(pixels[NODATA] / pixels.sum()),
        valid_m2=None if m2 is None else float(m2[:NODATA].sum()),
    )
