"""Refine: a window of ``probabilities`` and ``image`` -> dense CRF -> ``mask``, ``confidence``.

The windows are the CRF's own grid, larger than tiles: it reads the stitched probabilities, so the
network's patches are already joined, and its halo grows with the reach of its kernels.
"""

import time

import numpy as np
import numpy.typing as npt

from segtasks.crf.mean_field import is_certain, refine
from segtasks.pipeline import compute_slot
from segtasks.planning.plan import Plan
from segtasks.raster import confidence, labels
from segtasks.raster.grid import Tile, Window
from segtasks.raster.stretch import MAX_8BIT
from segtasks.storage import aoi, workspace
from segtasks.storage.receipts import Receipt, worker_name

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one CRF window; where its core is all nodata or certain, nothing can change."""
    started, core = time.perf_counter(), plan.mask_grid.core(tile)
    url, window = plan.job.workspace_url, plan.read_window("refine", tile)
    valid = workspace.read(url, "valid", window)
    probabilities = workspace.read(url, "probabilities", window).astype(np.float32)
    read_seconds = time.perf_counter() - started
    made = compute_slot.compute(lambda: _marginals(plan, core, window, probabilities, valid))
    writing = time.perf_counter()
    mask = labels.argmax_labels(made.result)
    kept = aoi.cut(valid[core.within(window)], url, plan.aoi, core)
    mask[~kept] = labels.NODATA
    workspace.write(url, "mask", core, mask)
    if plan.confidence:
        sure = confidence.quantise_confidence(made.result, plan.confidence)
        sure[~kept] = labels.NODATA
        workspace.write(url, "confidence", core, sure)
    return Receipt(
        stage="refine",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(kept)),
        worker=worker_name(),
        began=made.began,
        histogram=labels.histogram(mask),
        seconds=made.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )


def _marginals(
    plan: Plan, core: Window, window: Window, probabilities: Floats, valid: Bools
) -> Floats:
    """Marginals (K, h, w) of the core."""
    inner = core.within(window)
    own = probabilities[(..., *inner)]
    if plan.crf is None or is_certain(own, valid[inner]):
        return own
    image = workspace.read(plan.job.workspace_url, "image", window)
    marginals = refine(
        probabilities,
        plan.colours(image, MAX_8BIT),
        valid,
        row=window.row,
        col=window.col,
        parameters=plan.crf,
        backend=plan.crf_backend,
    )
    return marginals[(..., *inner)]
