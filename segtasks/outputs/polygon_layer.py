"""Polygons of the finished mask: those of a tile, those across borders, and the file of all.

vectorise   each tile: polygons inside it, and fragments that continue in others (`Fragments`)
publish     once: tiles row by row, fragments stitched as they are complete, into one file
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.outputs.publication import Publication
from segtasks.planning.plan import Plan
from segtasks.planning.products import PRODUCTS
from segtasks.raster.confidence import MAX_CONFIDENCE
from segtasks.raster.grid import Tile, Window
from segtasks.raster.labels import NODATA
from segtasks.raster.pixel_area import length_px, pixel_area_m2
from segtasks.raster.regions import polygons
from segtasks.raster.regions.outlines import Bools, outline_vertices
from segtasks.raster.regions.simplify import (
    IsVertex,
    Ring,
    drop_collinear,
    simple_rings,
    simplify_ring,
    start_at_least_vertex,
)
from segtasks.raster.regions.stitch import Fragments, PartialRegion, Stitcher
from segtasks.storage import object_store, tile_tables, vector_writer, workspace
from segtasks.storage.vector_writer import Columns

BLOCK_PX, BLOCKS = 512, 64
AREA_DIGITS, CONFIDENCE_DIGITS = 3, 4
"""Sums of floats differ in their last bits with the tiles; what is written does not."""
CONFIDENCE = "confidence"
"""Array of the workspace, where the job asks for it."""


def make_polygons(publication: Publication) -> Callable[[], None]:
    """Return what makes and publishes the polygons of all tiles' tables."""
    return partial(_publish_polygons, publication.plan)


def _publish_polygons(plan: Plan) -> None:
    assert plan.job.vectors is not None
    with tempfile.TemporaryDirectory(prefix="segtasks-") as folder:
        path = Path(folder, plan.job.vectors.file_name)
        crs = plan.raster.crs_wkt if plan.raster.transform else None
        batches = (_columns(plan, table) for table in _tables(plan))
        vector_writer.write(path, plan.job.vectors.format, batches, crs)
        object_store.put_file(path, PRODUCTS["polygons"].url(plan.job))


def polygon_table(plan: Plan, pieces: Sequence[PartialRegion], is_vertex: IsVertex) -> Columns:
    """Return the polygons of whole regions that are large enough, as named arrays."""
    assert plan.job.vectors is not None
    least = plan.job.vectors.minimum_area_m2
    large = [piece for piece in pieces if round(piece.amounts[0], AREA_DIGITS) >= least]
    square_px = length_px(plan.job.vectors.simplify_m, plan.raster) ** 2
    shapes = [_rings(piece, square_px, is_vertex) for piece in large]
    found = polygons.wkb(shapes, plan.raster.transform) if shapes else []
    return {
        "class_ids": np.array([piece.class_id for piece in large], np.int16),
        "sizes": np.array([piece.pixels for piece in large], np.int64),
        "sums": np.stack([piece.amounts for piece in large]) if large else np.zeros((0, 1)),
        "wkb": np.frombuffer(b"".join(found), np.uint8),
        "wkb_ends": np.cumsum([len(each) for each in found], dtype=np.int64),
    }


def confidence_of(plan: Plan, core: Window) -> npt.NDArray[Any] | None:
    """Return the confidence (h, w) of a core; ``None`` if the job keeps none."""
    url = plan.job.workspace_url
    return workspace.read(url, CONFIDENCE, core) if plan.confidence else None


def padded_mask(plan: Plan, window: Window) -> npt.NDArray[np.uint8]:
    """Return the mask (h+2, w+2) of a window and a pixel around it, nodata outside the raster."""
    wide, inside = window.grow(1), window.grow(1).intersect(plan.tiles.raster)
    mask = np.full(wide.shape, NODATA, np.uint8)
    mask[inside.within(wide)] = workspace.read(plan.job.workspace_url, plan.finished_mask, inside)
    return mask


def _rings(piece: PartialRegion, square_px: float, is_vertex: IsVertex) -> list[Ring]:
    whole = [each for ring in piece.rings() for each in simple_rings(ring, piece.junctions)]
    if square_px:
        whole = [simplify_ring(ring, piece.junctions, square_px, is_vertex) for ring in whole]
    else:
        whole = [drop_collinear(ring) for ring in whole]
    # In an order of their own, not the tiles'.
    return sorted(map(start_at_least_vertex, whole))


def _tables(plan: Plan) -> Iterator[Columns]:
    """Yield the polygons of each tile, and of the regions that a row of tiles completes."""
    rows, cols = plan.tiles.shape
    url, fingerprint = plan.job.workspace_url, plan.fingerprints["vectorise"]
    drawn = plan.selected("vectorise")
    stitcher, is_vertex = Stitcher(), _turning(plan)
    for row in range(rows):
        for col in range(cols):
            if Tile(row, col) in drawn:
                table = tile_tables.read(url, fingerprint, Tile(row, col))
                stitcher.add(col, Fragments.of(table))
                yield table
        done = list(stitcher.finished(last=row == rows - 1))
        yield polygon_table(plan, done, is_vertex)


def _turning(plan: Plan) -> IsVertex:
    """Return a function: whether outlines turn at a vertex, looked up block by block."""

    @lru_cache(maxsize=BLOCKS)
    def block(row: int, col: int) -> Bools:
        window = Window(row * BLOCK_PX, col * BLOCK_PX, BLOCK_PX, BLOCK_PX)
        return outline_vertices(padded_mask(plan, window))[0]

    def is_vertex(row: int, col: int) -> bool:
        at_row, at_col = divmod(row, BLOCK_PX), divmod(col, BLOCK_PX)
        return bool(block(at_row[0], at_col[0])[at_row[1], at_col[1]])

    return is_vertex


def _columns(plan: Plan, table: Columns) -> Columns:
    """Return the columns of the published table."""
    names = np.array([entry.name for entry in plan.card.classes], object)
    area = "area_px" if pixel_area_m2(plan.raster) is None else "area_m2"
    sums, data, begin = table["sums"], table["wkb"].tobytes(), 0
    shapes = np.empty(len(table["wkb_ends"]), object)
    for index, end in enumerate(table["wkb_ends"].tolist()):
        shapes[index], begin = data[begin:end], end
    columns = {
        "class": table["class_ids"],
        "name": names[table["class_ids"]],
        area: np.round(sums[:, 0], AREA_DIGITS) if len(sums) else np.zeros(0),
    }
    if plan.confidence:
        mean = sums[:, 1] / table["sizes"] / MAX_CONFIDENCE if len(sums) else np.zeros(0)
        columns["confidence"] = np.round(mean, CONFIDENCE_DIGITS)
    return columns | {vector_writer.GEOMETRY: shapes}
