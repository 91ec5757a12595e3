"""A Dask cluster whose workers die at one tile, as a library that crashes would make them."""

import os
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster

from segtasks.grid import Tile
from segtasks.plan import Plan
from segtasks.stages import predict
from segtasks.storage.receipts import Receipt

FATAL = Tile(1, 1)
_run = predict.run


def _crash(plan: Plan, tile: Tile) -> Receipt:
    if tile == FATAL:
        os._exit(11)
    return _run(plan, tile)


def dask_setup(worker: object) -> None:  # noqa: ARG001 - Dask calls it with the worker
    """Preload hook: runs in each worker process."""
    predict.run = _crash


def cluster() -> Any:  # noqa: ANN401 - untyped
    """Two such workers."""
    options = {"nthreads": 1, "preload": ["crashing"], "memory_limit": 4 * 2**30}
    return SpecCluster(
        workers={name: {"cls": Nanny, "options": options} for name in ("a", "b")},
        scheduler={"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1"}},
    )
