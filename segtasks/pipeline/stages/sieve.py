"""Sieve: a core of ``mask`` and the components of all tiles -> ``sieved``.

What becomes of components across borders is settled once, by the first tile that needs it, and kept
in the workspace; another worker that comes at the same time makes the same bytes.
"""

import time
from threading import Lock

import numpy as np

from segtasks.pipeline import compute_slot
from segtasks.planning.plan import Plan
from segtasks.raster import labels
from segtasks.raster.grid import Tile
from segtasks.raster.regions.connected_components import Bytes, components
from segtasks.raster.regions.small_regions import (
    BorderComponents,
    ResolvedBorder,
    merge_small_regions,
    resolve_small_regions,
)
from segtasks.storage import tile_tables, workspace
from segtasks.storage.receipts import Receipt, worker_name

_settling = Lock()


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one core."""
    started, core = time.perf_counter(), plan.tiles.core(tile)
    rim = _rim(plan, tile)
    mask = workspace.read(plan.job.workspace_url, "mask", core)
    read_seconds = time.perf_counter() - started
    done = compute_slot.compute(lambda: _sieved(plan, tile, mask, rim))
    writing = time.perf_counter()
    workspace.write(plan.job.workspace_url, "sieved", core, done.result)
    return Receipt(
        stage="sieve",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(mask != labels.NODATA)),
        worker=worker_name(),
        began=done.began,
        histogram=labels.histogram(done.result),
        seconds=done.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )


def _sieved(plan: Plan, tile: Tile, mask: Bytes, rim: ResolvedBorder) -> Bytes:
    found = components(mask, plan.tiles.core(tile), plan.tiles.width, plan.connectedness)
    return merge_small_regions(found, rim, plan.sieve_px)


def _rim(plan: Plan, tile: Tile) -> ResolvedBorder:
    """What becomes of the components on a tile's rim."""
    url, fingerprint = plan.job.workspace_url, plan.fingerprints["sieve"]
    with _settling:
        if not tile_tables.exists(url, fingerprint, tile):
            _settle_all(plan)
    return ResolvedBorder(**tile_tables.read(url, fingerprint, tile))


def _settle_all(plan: Plan) -> None:
    url, prints = plan.job.workspace_url, plan.fingerprints
    made = plan.selected("components")
    parts = {
        each: BorderComponents.of(tile_tables.read(url, prints["components"], each))
        for each in made
    }
    rims = resolve_small_regions(parts, plan.tiles, plan.connectedness, plan.sieve_px)
    for each, rim in zip(parts, rims, strict=True):
        tile_tables.write(url, prints["sieve"], each, {"sizes": rim.sizes, "fates": rim.fates})
