"""Ingest: a window of the source raster -> ``image``, ``valid`` and the quicklook's pixels."""

import time

import numpy as np

from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile, Window
from segtasks.storage import raster_reader, workspace
from segtasks.storage.receipts import Receipt, worker_name


def run(plan: Plan, tile: Tile) -> Receipt:
    """Copy one core; invalid pixels become 0, so that nothing under nodata can be seen later."""
    began, started = time.time(), time.perf_counter()
    core, url = plan.tiles.core(tile), plan.job.workspace_url
    image, valid = raster_reader.read(plan.raster, plan.bands, core)
    image[:, ~valid] = 0
    read = time.perf_counter()
    workspace.write(url, "image", core, image)
    workspace.write(url, "valid", core, valid)
    workspace.write(url, "thumbnail", *_thumbnail(plan, core, image))
    return Receipt(
        stage="ingest",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(valid)),
        worker=worker_name(),
        began=began,
        seconds={"read": read - started, "write": time.perf_counter() - read},
    )


def _thumbnail(
    plan: Plan, core: Window, image: raster_reader.Image
) -> tuple[Window, raster_reader.Image]:
    """Every n-th pixel of the core; n divides the core's origin."""
    step = plan.thumbnail_step
    small = image[:, ::step, ::step]
    return Window(core.row // step, core.col // step, *small.shape[1:]), small
