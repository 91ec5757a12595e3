"""Pool: a patch of ``image`` -> the share of its cell in the averages over the whole raster.

The first of two passes, for networks with a pyramid: predict runs their heads with the sum of all
shares. A tile of this stage is a cell of the patch grid, so the sum does not depend on the tiles.
"""

import numpy as np

from segtasks.networks.inference.raster_pooling import pooling_pass
from segtasks.networks.inference.runtime import Patches, forward_patches
from segtasks.pipeline import network_input
from segtasks.pipeline.network_input import Pixels
from segtasks.pipeline.tile_stage import TileStage, Written
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile
from segtasks.storage import pooled_sums


def read(plan: Plan, tile: Tile) -> Pixels:
    """Read the patch of a cell."""
    return network_input.read(plan, plan.patches.patch(tile).window)


def compute(plan: Plan, tile: Tile, pixels: Pixels) -> Patches:
    """Return the share (D, bins); nodata counts as the mean colour, as in a whole-image forward."""
    patch = plan.patches.patch(tile)
    net = pooling_pass(network_input.network_of(plan), patch.window, patch.cell, plan.tiles.raster)
    stack = network_input.normalise(plan, pixels, patch.window)[None]
    share: Patches = forward_patches(net, stack)[0]
    return share


def write(plan: Plan, tile: Tile, pixels: Pixels, share: Patches) -> Written:
    """Write the share of the cell."""
    patch = plan.patches.patch(tile)
    pooled_sums.write(plan.job.workspace_url, plan.fingerprints["pool"], tile, share)
    valid = pixels.valid[patch.cell.within(patch.window)]
    return Written(valid_px=int(np.count_nonzero(valid)))


STAGE = TileStage(read=read, compute=compute, write=write)
