"""Pool: a patch of ``image`` -> its cell's share in the averages over the whole raster.

The first of two passes, for networks with a pyramid: predict runs their heads with the sum of all
shares. A tile of this stage is a cell of the patches' lattice, so the sum knows nothing of tiles.
"""

import time

import numpy as np

from segtasks.networks.inference.raster_pooling import pooling_pass
from segtasks.networks.inference.runtime import Patches, forward_patches
from segtasks.pipeline import compute_slot, network_input
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile
from segtasks.raster.patches import Patch
from segtasks.storage import pooled_sums
from segtasks.storage.receipts import Receipt, worker_name


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one cell, nodata too: a whole-image forward pools it as the mean colour."""
    started, patch = time.perf_counter(), plan.lattice.patch(tile)
    pixels = network_input.read(plan, patch.window)
    read_seconds = time.perf_counter() - started
    done = compute_slot.compute(lambda: _share(plan, patch, pixels))
    writing = time.perf_counter()
    pooled_sums.write(plan.job.workspace_url, plan.fingerprints["pool"], tile, done.result)
    valid = pixels.valid[patch.cell.within(patch.window)]
    return Receipt(
        stage="pool",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(valid)),
        worker=worker_name(),
        began=done.began,
        seconds=done.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )


def _share(plan: Plan, patch: Patch, pixels: network_input.Pixels) -> Patches:
    """(D, bins)."""
    net = pooling_pass(network_input.network_of(plan), patch.window, patch.cell, plan.tiles.raster)
    found: Patches = forward_patches(
        net, network_input.normalise(plan, pixels, patch.window)[None]
    )[0]
    return found
