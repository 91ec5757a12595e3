"""Refine: a window of ``probabilities`` and ``image`` -> dense CRF -> ``mask``, ``confidence``.

The windows are a grid of the CRF's own, larger than tiles: it reads the stitched probabilities, so
the patches of the network are already joined, and its halo grows with the reach of its kernels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segtasks.crf.mean_field import is_certain, refine
from segtasks.pipeline.tile_stage import TileStage, Written
from segtasks.planning.plan import Plan
from segtasks.raster import confidence, labels
from segtasks.raster.grid import Tile, Window
from segtasks.raster.stretch import MAX_8BIT
from segtasks.storage import aoi, workspace

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stitched:
    """The read window of a CRF window: ``probabilities`` (K, h, w) and ``valid`` (h, w)."""

    window: Window
    probabilities: Floats
    valid: npt.NDArray[np.bool_]


def read(plan: Plan, tile: Tile) -> Stitched:
    """Read what predict has stitched."""
    url, window = plan.job.workspace_url, plan.read_window("refine", tile)
    valid = workspace.read(url, "valid", window)
    probabilities = workspace.read(url, "probabilities", window).astype(np.float32)
    return Stitched(window, probabilities, valid)


def compute(plan: Plan, tile: Tile, stitched: Stitched) -> Floats:
    """Return the marginals (K, h, w) of the core.

    Where the core is all nodata or certain, the CRF cannot change a label and is left out.
    """
    window = stitched.window
    inner = plan.mask_grid.core(tile).within(window)
    own = stitched.probabilities[(..., *inner)]
    if plan.crf is None or is_certain(own, stitched.valid[inner]):
        return own
    image = workspace.read(plan.job.workspace_url, "image", window)
    marginals = refine(
        stitched.probabilities,
        plan.colours(image, MAX_8BIT),
        stitched.valid,
        row=window.row,
        col=window.col,
        parameters=plan.crf.parameters,
        backend=plan.crf.backend,
    )
    return marginals[(..., *inner)]


def write(plan: Plan, tile: Tile, stitched: Stitched, marginals: Floats) -> Written:
    """Write labels and confidence of the core, nodata outside the area of interest."""
    url, core = plan.job.workspace_url, plan.mask_grid.core(tile)
    kept = aoi.cut(stitched.valid[core.within(stitched.window)], url, plan.aoi, core)
    mask = labels.argmax_labels(marginals)
    mask[~kept] = labels.NODATA
    workspace.write(url, "mask", core, mask)
    if plan.confidence:
        sure = confidence.quantise_confidence(marginals, plan.confidence)
        sure[~kept] = labels.NODATA
        workspace.write(url, "confidence", core, sure)
    return Written(valid_px=int(np.count_nonzero(kept)), histogram=labels.histogram(mask))


STAGE = TileStage(read=read, compute=compute, write=write)
