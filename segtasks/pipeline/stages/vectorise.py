"""Vectorise: a core of the finished mask and a pixel around it -> polygons and their fragments."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.outputs import polygon_layer
from segtasks.pipeline.tile_stage import TileStage, Written
from segtasks.planning.plan import Plan
from segtasks.raster import labels
from segtasks.raster.grid import Tile, Window
from segtasks.raster.pixel_area import pixel_areas
from segtasks.raster.regions.connected_components import Bytes, Components, Ints, components
from segtasks.raster.regions.outlines import Paths, outline_vertices, trace
from segtasks.raster.regions.stitch import Fragments, split_regions
from segtasks.storage import tile_tables
from segtasks.storage.vector_writer import Columns

Floats = npt.NDArray[np.float64]


def read(plan: Plan, tile: Tile) -> tuple[Bytes, Bytes | None]:
    """Read the finished mask (h+2, w+2) of a core and a pixel around it, and its confidence."""
    core = plan.tiles.core(tile)
    return polygon_layer.padded_mask(plan, core), polygon_layer.confidence_of(plan, core)


def compute(plan: Plan, tile: Tile, inputs: tuple[Bytes, Bytes | None]) -> Columns:
    """Return the polygons inside the core, and the outlines that continue in other tiles."""
    (mask, confidence), core = inputs, plan.tiles.core(tile)
    found = components(mask[1:-1, 1:-1], core, plan.tiles.width)
    drawn = np.zeros(256, np.bool_)
    drawn[list(plan.drawn)] = True
    paths = trace(mask, core, plan.tiles.width, drawn)
    amounts, at_border = _amounts(plan, core, found, confidence), found.touches_border()
    shown = drawn[found.classes]
    inside = _pieces(found, paths, amounts, np.flatnonzero(shown & ~at_border))
    across = _pieces(found, paths, amounts, np.flatnonzero(shown & at_border))
    turning = outline_vertices(mask)[0]
    own = polygon_layer.polygon_table(
        plan, split_regions(inside), lambda row, col: bool(turning[row - core.row, col - core.col])
    )
    return {**own, **across.table()}


def write(plan: Plan, tile: Tile, inputs: tuple[Bytes, Bytes | None], table: Columns) -> Written:
    """Write the table of the core."""
    url, inner = plan.job.workspace_url, inputs[0][1:-1, 1:-1]
    tile_tables.write(url, plan.fingerprints["vectorise"], tile, table)
    valid_px = int(np.count_nonzero(inner != labels.NODATA))
    return Written(valid_px=valid_px, histogram=labels.histogram(inner))


def _amounts(plan: Plan, core: Window, found: Components, confidence: Bytes | None) -> Floats:
    """Per component its area, in m² where pixels have one, and the sum of its confidence."""
    areas = pixel_areas(plan.raster)
    weights: list[npt.NDArray[Any]] = [areas.read(core) if areas else np.ones(core.shape)]
    weights += [] if confidence is None else [confidence]
    is_data, count = found.ids >= 0, len(found.classes)
    ids = found.ids[is_data]
    return np.stack([np.bincount(ids, each[is_data], count) for each in weights], axis=1)


def _pieces(found: Components, paths: Paths, amounts: Floats, chosen: Ints) -> Fragments:
    """Some of the components with their outlines."""
    index = np.full(len(found.classes) + 1, -1, np.int64)
    index[chosen] = np.arange(len(chosen))
    owners = index[found.ids[paths.pixels[:, 0], paths.pixels[:, 1]]]
    own = np.flatnonzero(owners >= 0)
    lines = (found.ids[0], found.ids[-1], found.ids[:, 0], found.ids[:, -1])
    top, bottom, left, right = (index[line] for line in lines)
    return Fragments(
        found.classes[chosen],
        found.sizes[chosen],
        amounts[chosen],
        owners[own],
        paths.take(own),
        (top, bottom, left, right),
    )


STAGE = TileStage(read=read, compute=compute, write=write)
