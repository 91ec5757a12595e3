"""Components: a core of the mask -> what other tiles must know of its components to sieve them."""

import numpy as np

from segtasks.pipeline.tile_stage import TileStage, Written
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile
from segtasks.raster.labels import NODATA
from segtasks.raster.regions.connected_components import Bytes, components
from segtasks.raster.regions.small_regions import BorderComponents, border_components_of
from segtasks.storage import tile_tables, workspace


def read(plan: Plan, tile: Tile) -> Bytes:
    """Read the mask (h, w) of the core."""
    array = plan.mask_before("components")
    return workspace.read(plan.job.workspace_url, array, plan.tiles.core(tile))


def compute(plan: Plan, tile: Tile, mask: Bytes) -> BorderComponents:
    """Label the components of the core and keep those that others may meet."""
    core, width = plan.tiles.core(tile), plan.tiles.width
    found = components(mask, core, width, plan.connectedness)
    return border_components_of(found, plan.sieve_px)


def write(plan: Plan, tile: Tile, mask: Bytes, found: BorderComponents) -> Written:
    """Write the table of the core."""
    url, fingerprint = plan.job.workspace_url, plan.fingerprints["components"]
    tile_tables.write(url, fingerprint, tile, found.table())
    return Written(valid_px=int(np.count_nonzero(mask != NODATA)))


STAGE = TileStage(read=read, compute=compute, write=write)
