"""Components: a core of ``mask`` -> what other tiles must know of its components, to be sieved."""

import time

import numpy as np

from segtasks.pipeline import compute_slot
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile
from segtasks.raster.labels import NODATA
from segtasks.raster.regions.connected_components import components
from segtasks.raster.regions.small_regions import border_components_of
from segtasks.storage import tile_tables, workspace
from segtasks.storage.receipts import Receipt, worker_name


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one core: label its components, keep those that others may meet."""
    started, core = time.perf_counter(), plan.tiles.core(tile)
    mask = workspace.read(plan.job.workspace_url, "mask", core)
    read_seconds = time.perf_counter() - started
    width, how = plan.tiles.width, plan.connectedness
    done = compute_slot.compute(
        lambda: border_components_of(components(mask, core, width, how), plan.sieve_px)
    )
    writing = time.perf_counter()
    table = done.result.table()
    tile_tables.write(plan.job.workspace_url, plan.fingerprints["components"], tile, table)
    return Receipt(
        stage="components",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(mask != NODATA)),
        worker=worker_name(),
        began=done.began,
        seconds=done.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )
