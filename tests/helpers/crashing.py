"""Processes that die at one tile, as a library that crashes or ``kill -9`` would make them.

A Dask cluster of such workers. ``python -m tests.helpers.crashing STAGE run ...`` is `segtasks`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster

from segtasks.cli import main
from segtasks.pipeline import tile_task
from segtasks.planning.plan import Plan, Stage
from segtasks.raster.grid import Tile
from segtasks.storage.receipts import Receipt

FATAL = Tile(1, 1)
Run = Callable[[Plan, Tile], Receipt]


def doom(doomed: Stage, death: Callable[[Run], Run]) -> None:
    """Let this process die at one tile of a stage."""
    whole = tile_task.do_tile
    fatal = death(lambda plan, tile: whole(plan, doomed, tile))

    def do_tile(plan: Plan, stage: Stage, tile: Tile) -> Receipt:
        return fatal(plan, tile) if stage == doomed else whole(plan, stage, tile)

    tile_task.do_tile = do_tile


def before(run: Run) -> Run:
    """Nothing of the tile is done, but another waits at the same process by then."""

    def die(plan: Plan, tile: Tile) -> Receipt:
        if tile == FATAL:
            time.sleep(0.5)
        _die_at(tile)
        return run(plan, tile)

    return die


def after(run: Run) -> Run:
    """The tile's data are there, its receipt is not."""

    def die(plan: Plan, tile: Tile) -> Receipt:
        receipt = run(plan, tile)
        _die_at(tile)
        return receipt

    return die


def _die_at(tile: Tile) -> None:
    if tile == FATAL:
        os.kill(os.getpid(), signal.SIGKILL)


def dask_setup(worker: object) -> None:  # noqa: ARG001 - Dask calls it with the worker
    """Preload hook: runs in each worker process."""
    doom("predict", before)


def cluster() -> Any:  # noqa: ANN401 - untyped
    """One such worker: whatever waits beside the fatal tile dies with it each time."""
    options = {"nthreads": 1, "preload": ["tests.helpers.crashing"], "memory_limit": 4 * 2**30}
    return SpecCluster(
        workers={"doomed": {"cls": Nanny, "options": options}},
        scheduler={"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1"}},
    )


if __name__ == "__main__":
    doom(sys.argv.pop(1), after)
    main()
