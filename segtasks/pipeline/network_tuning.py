"""Autotuning: measure which precision and kernels the network runs best with.

It is done once per job, on a worker, before the first forward. The result is kept in the workspace,
so that every worker and every restart computes the same bytes.
"""

from collections.abc import Iterator
from itertools import islice

from segtasks.networks.inference.autotune import autotune
from segtasks.networks.inference.runtime import Patches
from segtasks.networks.inference.tuned import TunedInference
from segtasks.pipeline import compute_slot, network_input
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Window
from segtasks.storage import raster_reader

SAMPLES, SAMPLE_PX = 3, 1024


def tune_network(plan: Plan) -> TunedInference:
    """Measure on samples of the source.

    Raises:
        ModelError: the precision or form does not exist on this device.
    """
    samples = list(islice(_samples(plan), SAMPLES)) or [_read(plan, plan.tiles.raster)]
    path, asked = network_input.model_path(plan), plan.job.inference
    return compute_slot.compute(lambda: autotune(path, asked, samples)).result


def _samples(plan: Plan) -> Iterator[Patches]:
    """Yield patches (C, h, w) with data from places spread over the raster."""
    cores = (plan.tiles.core(tile) for tile in plan.selected("predict"))
    tiles = sorted({cell for core in cores for cell in plan.patches.cells.touching(core)})
    if not tiles:
        return
    for index in (len(tiles) // 2, len(tiles) // 4, 3 * len(tiles) // 4, 0, len(tiles) - 1):
        sample = _read(plan, plan.patches.patch(tiles[index]).window)
        if sample.any():
            yield sample


def _read(plan: Plan, patch: Window) -> Patches:
    """Read the upper left of a patch from the source, at most 1024 px a side, normalised."""
    window = Window(patch.row, patch.col, min(SAMPLE_PX, patch.height), min(SAMPLE_PX, patch.width))
    image, valid = raster_reader.read(plan.raster, plan.bands, window)
    return network_input.normalise(plan, network_input.Pixels(window, image, valid), window)
