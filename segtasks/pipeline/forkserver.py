"""A process that imports what workers need, once, and is forked for each of them.

Started before anything else, it imports on one core while the job is planned on another; a worker
is then there at once, and one that died is replaced at once. Nothing but imports happens in it: no
thread, no open file, no CUDA, so a fork is safe.
"""

import os
from collections.abc import Mapping
from multiprocessing.forkserver import ForkServer
from typing import ClassVar

from segtasks.pipeline.worker_processes import WorkerContext, WorkerProcess, register

PRELOADED = [
    "distributed",
    "distributed.nanny",
    "segtasks.pipeline.tile_task",
    "segtasks.pipeline.stages.predict",
]

ENVIRONMENT: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Each thread keeps what it once used; one that decodes chunks is enough beside the network.
    "ZARR_THREADING__MAX_WORKERS": "1",
}
"""Of worker processes, in place of Dask's own (``malloc`` says what else is set, and why)."""


METHOD = "segtasks-tiles"
"""Name of `TileContext`, for Dask's setting."""


class TileProcess(WorkerProcess):
    """A process that does tiles, forked from one that has imported what it needs."""

    server: ClassVar[ForkServer] = ForkServer()
    environment = ENVIRONMENT


class TileContext(WorkerContext):
    """The multiprocessing context of such processes."""

    _name = METHOD
    Process = TileProcess


register(TileContext())


def open_forkserver() -> None:
    """Start it; returns at once, the imports go on by themselves."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        TileProcess.server.set_forkserver_preload(PRELOADED)
        TileProcess.server.ensure_running()
    finally:
        # The environment is for the workers; glibc and OpenMP read it when a process starts.
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
