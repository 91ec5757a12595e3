"""Pool: a patch of ``image`` -> its cell's share in the averages over the whole raster.

The first of two passes, for networks with a pyramid: predict runs their heads with the sum of all
shares. A tile of this stage is a cell of the patches' lattice, so the sum knows nothing of tiles.
"""

import time

import numpy as np

from segtasks import inputs, slot
from segtasks.grid import Tile
from segtasks.networks.pooling import sharing
from segtasks.networks.runtime import Patches, forward_patches
from segtasks.patches import Patch
from segtasks.plan import Plan
from segtasks.storage import shares
from segtasks.storage.receipts import Receipt, worker_name


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one cell, nodata too: a whole-image forward pools it as the mean colour."""
    started, patch = time.perf_counter(), plan.lattice.patch(tile)
    pixels = inputs.read(plan, patch.window)
    read_seconds = time.perf_counter() - started
    done = slot.compute(lambda: _share(plan, patch, pixels))
    writing = time.perf_counter()
    shares.write(plan.job.workspace_url, plan.fingerprints["pool"], tile, done.result)
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


def _share(plan: Plan, patch: Patch, pixels: inputs.Pixels) -> Patches:
    """(D, bins)."""
    net = sharing(inputs.network_of(plan), patch.window, patch.cell, plan.tiles.raster)
    found: Patches = forward_patches(net, inputs.normalised(plan, pixels, patch.window)[None])[0]
    return found
