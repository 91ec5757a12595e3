"""One tile of one stage, as a worker does it: skip what is done, do it, then write the receipt."""

from collections.abc import Callable, Mapping

from segtasks.grid import Tile
from segtasks.plan import Plan, Stage
from segtasks.stages import ingest, predict, refine
from segtasks.storage import receipts
from segtasks.storage.receipts import Receipt

STAGES: Mapping[Stage, Callable[[Plan, Tile], Receipt]] = {
    "ingest": ingest.run,
    "predict": predict.run,
    "refine": refine.run,
}


def run(plan: Plan, stage: Stage, tile: Tile) -> bool:
    """Do ``tile`` unless it has its receipt; whether there was anything to do."""
    url, fingerprint = plan.job.workspace_url, plan.fingerprints[stage]
    if receipts.is_done(url, fingerprint, stage, tile):
        return False
    receipts.write(url, fingerprint, STAGES[stage](plan, tile))
    return True
