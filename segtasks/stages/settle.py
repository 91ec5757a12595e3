"""Settle: how the network is run, where the job leaves that open, and what its precision costs.

Done once per job, in a worker, before anything is forwarded. What is found is kept in the
workspace, so that every worker and every restart computes the same bytes.
"""

from collections.abc import Iterator
from itertools import islice

from segtasks import inputs, slot
from segtasks.grid import Window
from segtasks.networks.runtime import Patches
from segtasks.networks.settling import measure
from segtasks.plan import Plan
from segtasks.settled import Settled
from segtasks.storage import rasters

SAMPLES, SAMPLE_PX = 3, 1024


def run(plan: Plan) -> Settled:
    """Measure on samples of the source.

    Raises:
        ModelError: the precision or form is not there on this device.
    """
    samples = list(islice(_samples(plan), SAMPLES)) or [_read(plan, plan.tiles.raster)]
    path, asked = inputs.model_path(plan), plan.job.inference
    return slot.compute(lambda: measure(path, asked, samples)).result


def _samples(plan: Plan) -> Iterator[Patches]:
    """Patches (C, h, w) with data, from places spread over the raster."""
    cores = (plan.tiles.core(tile) for tile in plan.selected("predict"))
    tiles = sorted({cell for core in cores for cell in plan.lattice.cells.touching(core)})
    if not tiles:
        return
    for index in (len(tiles) // 2, len(tiles) // 4, 3 * len(tiles) // 4, 0, len(tiles) - 1):
        sample = _read(plan, plan.lattice.patch(tiles[index]).window)
        if sample.any():
            yield sample


def _read(plan: Plan, patch: Window) -> Patches:
    """The normalised upper left of a patch, at most 1024 px a side, from the source itself."""
    window = Window(patch.row, patch.col, min(SAMPLE_PX, patch.height), min(SAMPLE_PX, patch.width))
    image, valid = rasters.read(plan.raster, plan.bands, window)
    return inputs.normalised(plan, inputs.Pixels(window, image, valid), window)
