"""One tile of one stage on a worker: skip it if it is done, read, compute, write, then the receipt.

    read ──▶ compute in the slot ──▶ write ──▶ receipt

The table of stages names the module of each stage; it holds the stage as ``STAGE``.
"""

import logging
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from segtasks.networks.inference.tuned import TunedInference
from segtasks.pipeline import compute_slot
from segtasks.pipeline.tile_stage import TileStage
from segtasks.planning.plan import Plan, Stage
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Tile
from segtasks.storage import receipts
from segtasks.storage.receipts import Receipt, worker_name

logger = logging.getLogger("segtasks")
# On a worker the default level would drop what the log of the run shows.
logger.setLevel(logging.INFO)


def run_tile(plan: Plan, stage: Stage, tile: Tile) -> bool:
    """Do ``tile`` unless it has its receipt; return whether there was anything to do."""
    url, fingerprint = plan.job.workspace_url, plan.fingerprints[stage]
    if receipts.is_done(url, fingerprint, stage, tile):
        return False
    started = time.perf_counter()
    receipts.write(url, fingerprint, do_tile(plan, stage, tile))
    seconds = time.perf_counter() - started
    logger.info("%s tile (%d, %d) done in %.2f s", stage, tile.row, tile.col, seconds)
    return True


def autotune(plan: Plan) -> TunedInference:
    """Measure how the network runs best; see `network_tuning`."""
    measure: Callable[[Plan], TunedInference] = import_module(
        "segtasks.pipeline.network_tuning"
    ).tune_network
    return measure(plan)


def do_tile(plan: Plan, stage: Stage, tile: Tile) -> Receipt:
    """Do ``tile`` even if it is done already; return its receipt, which is not written yet."""
    # By name: the process that submits tiles does not wait for the import of torch.
    doing: TileStage[Any, Any] = import_module(STAGES[stage].module).STAGE
    began, started = time.time(), time.perf_counter()
    read = doing.read(plan, tile)
    seconds, made = {"read": time.perf_counter() - started}, None
    if doing.compute is not None:
        compute = doing.compute
        computed = compute_slot.compute(lambda: compute(plan, tile, read))
        began, made, seconds = computed.began, computed.result, computed.seconds | seconds
    writing = time.perf_counter()
    written = doing.write(plan, tile, read, made)
    return Receipt(
        stage=stage,
        row=tile.row,
        col=tile.col,
        valid_px=written.valid_px,
        worker=worker_name(),
        began=began,
        histogram=dict(written.histogram),
        seconds=seconds | {"write": time.perf_counter() - writing},
    )
