"""Sieve: a core of the mask and the components of all tiles -> ``sieved``.

What becomes of components across borders is decided once, by the first tile that needs it, and kept
in the workspace. A second worker that decides at the same time writes the same bytes.
"""

from threading import Lock

import numpy as np

from segtasks.pipeline.tile_stage import TileStage, Written
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

_deciding = Lock()


def read(plan: Plan, tile: Tile) -> tuple[Bytes, ResolvedBorder]:
    """Read the mask (h, w) of the core, and what becomes of the components on its rim."""
    url, fingerprint = plan.job.workspace_url, plan.fingerprints["sieve"]
    with _deciding:
        if not tile_tables.exists(url, fingerprint, tile):
            _decide_all(plan)
    rim = ResolvedBorder(**tile_tables.read(url, fingerprint, tile))
    return workspace.read(url, plan.mask_before("sieve"), plan.tiles.core(tile)), rim


def compute(plan: Plan, tile: Tile, inputs: tuple[Bytes, ResolvedBorder]) -> Bytes:
    """Return the core without its small regions."""
    mask, rim = inputs
    found = components(mask, plan.tiles.core(tile), plan.tiles.width, plan.connectedness)
    return merge_small_regions(found, rim, plan.sieve_px)


def write(plan: Plan, tile: Tile, inputs: tuple[Bytes, ResolvedBorder], sieved: Bytes) -> Written:
    """Write the core."""
    workspace.write(plan.job.workspace_url, "sieved", plan.tiles.core(tile), sieved)
    valid_px = int(np.count_nonzero(inputs[0] != labels.NODATA))
    return Written(valid_px=valid_px, histogram=labels.histogram(sieved))


def _decide_all(plan: Plan) -> None:
    url, prints = plan.job.workspace_url, plan.fingerprints
    tables = {
        tile: BorderComponents.of(tile_tables.read(url, prints["components"], tile))
        for tile in plan.selected("components")
    }
    rims = resolve_small_regions(tables, plan.tiles, plan.connectedness, plan.sieve_px)
    for tile, rim in zip(tables, rims, strict=True):
        tile_tables.write(url, prints["sieve"], tile, {"sizes": rim.sizes, "fates": rim.fates})


STAGE = TileStage(read=read, compute=compute, write=write)
