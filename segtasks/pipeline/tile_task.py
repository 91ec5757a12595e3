"""One tile of one stage, as a worker does it: skip what is done, do it, then write the receipt."""

import logging
import time
from collections.abc import Callable
from importlib import import_module

from segtasks.networks.inference.tuned import TunedInference
from segtasks.planning.plan import Plan, Stage
from segtasks.raster.grid import Tile
from segtasks.storage import receipts
from segtasks.storage.receipts import Receipt

logger = logging.getLogger("segtasks")
# On a worker the default level would drop what the run's log is to show.
logger.setLevel(logging.INFO)


def run_tile(plan: Plan, stage: Stage, tile: Tile) -> bool:
    """Do ``tile`` unless it has its receipt; whether there was anything to do."""
    url, fingerprint = plan.job.workspace_url, plan.fingerprints[stage]
    if receipts.is_done(url, fingerprint, stage, tile):
        return False
    started = time.perf_counter()
    receipts.write(url, fingerprint, _stage(stage)(plan, tile))
    seconds = time.perf_counter() - started
    logger.info("%s tile (%d, %d) done in %.2f s", stage, tile.row, tile.col, seconds)
    return True


def _stage(stage: Stage) -> Callable[[Plan, Tile], Receipt]:
    # By name: the process that submits tiles shall not wait for the import of torch.
    run_tile: Callable[[Plan, Tile], Receipt] = import_module(
        f"segtasks.pipeline.stages.{stage}"
    ).run
    return run_tile


def autotune(plan: Plan) -> TunedInference:
    """Measure how the network is to be run; see `stages.settle`."""
    measure: Callable[[Plan], TunedInference] = import_module(
        "segtasks.pipeline.network_tuning"
    ).run
    return measure(plan)
