"""Dask clusters: processes of this machine, its GPUs, a running scheduler, or any cluster class."""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.system import MEMORY_LIMIT

from segtasks.errors import JobError, ResourceError
from segtasks.pipeline.forkserver import METHOD
from segtasks.planning.plan import Plan
from segtasks.planning.worker import TILES_IN_FLIGHT
from segtasks.raster.units import GIB

MEMORY_SHARE = 0.9
Options = Mapping[str, Mapping[str, Any]]


def gpus() -> tuple[str, ...]:
    """Indices of this machine's GPUs, honouring CUDA_VISIBLE_DEVICES; asked without torch."""
    if not shutil.which("nvidia-smi"):
        return ()
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if answer.returncode:
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        tuple(answer.stdout.split()) if visible is None else tuple(filter(None, visible.split(",")))
    )


def worker_bytes(plan: Plan, processes: int) -> int:
    """Memory of one of ``processes`` workers on this machine (its cgroup's, where it has one)."""
    limit = plan.job.limits.worker_memory_gib
    if limit != "auto":
        return int(limit * GIB)
    return int(MEMORY_LIMIT * MEMORY_SHARE / processes)


def worker_count(plan: Plan) -> int:
    """Processes on this machine: as asked, else one per core, but no more than tiles."""
    workers = plan.job.compute.workers
    return min(CPU_COUNT, max(1, len(plan.selected("predict")))) if workers == "auto" else workers


def planned(plan: Plan, kind: str) -> tuple[int | None, int | None]:
    """Processes and the memory of each, as far as the job says; a cluster's own are not known."""
    compute, limit = plan.job.compute, plan.job.limits.worker_memory_gib
    if kind in {"address", "cluster"}:
        count = None if compute.workers == "auto" else compute.workers
        return count, None if limit == "auto" else int(limit * GIB)
    count = len(_gpu_workers(plan)) if kind == "gpu" else worker_count(plan)
    return count, worker_bytes(plan, count)


@contextmanager
def client(plan: Plan, kind: str) -> Iterator[Client]:
    """A client of the cluster that the job asks for; what was started ends with the block.

    Raises:
        ResourceError: the scheduler cannot be reached.
        JobError: the cluster class cannot be made.
    """
    settings = {
        # Nannies would set these in this process, for good; the fork server has its own.
        "distributed.nanny.pre-spawn-environ": {},
        # A worker that takes long to come back must not be closed for good.
        "distributed.deploy.lost-worker-timeout": "600s",
        "distributed.scheduler.allowed-failures": plan.job.limits.attempts - 1,
        "temporary-directory": tempfile.gettempdir(),
        "distributed.worker.multiprocessing-method": METHOD,
        # Its samples every 10 ms take the GIL from the network.
        "distributed.worker.profile.enabled": False,
    }
    with dask.config.set(settings):
        if kind == "address":
            with _connect(plan.job.compute.address or "") as connected:
                yield connected
        else:
            with _cluster(plan, kind) as cluster, Client(cluster) as connected:
                yield connected


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout="20s")
    except (OSError, ValueError) as error:
        raise ResourceError(
            f"{address}: no Dask scheduler answers there ({error}); start one, or give another "
            "--address"
        ) from None


def _cluster(plan: Plan, kind: str) -> Any:  # noqa: ANN401 - any Dask cluster class
    if kind == "cluster":
        return _foreign(plan)
    if kind == "gpu":
        return _local(_gpu_workers(plan))
    count = worker_count(plan)
    return _local({f"cpu{index}": _options(plan, count) for index in range(count)})


def _local(workers: Options) -> SpecCluster:
    """Nannies on this machine: a worker that dies is started again with the same options."""
    scheduler = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "dashboard": False}
    return SpecCluster(
        workers={name: {"cls": Nanny, "options": dict(o)} for name, o in workers.items()},
        scheduler={"cls": Scheduler, "options": scheduler},
        silence_logs=logging.CRITICAL,
    )


def _options(plan: Plan, processes: int) -> dict[str, Any]:
    return {
        "nthreads": TILES_IN_FLIGHT,
        "memory_limit": worker_bytes(plan, processes),
        "dashboard": False,
        "silence_logs": logging.CRITICAL,
    }


def _gpu_workers(plan: Plan) -> Options:
    """One process per GPU for the network, and one per remaining core for reading and the CRF."""
    found = gpus()
    if not found:
        raise ResourceError("compute kind gpu: this machine has no GPU; use local, or another host")
    wanted = plan.job.compute.workers
    cards = found if wanted == "auto" else found[:wanted]
    cores = max(1, CPU_COUNT - len(cards))
    options = _options(plan, len(cards) + cores)
    by_card = {
        f"gpu{card}": options | {"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": card}}
        for card in cards
    }
    by_core = {
        f"cpu{core}": options | {"resources": {"CPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": ""}}
        for core in range(cores)
    }
    return by_card | by_core


def _foreign(plan: Plan) -> Any:  # noqa: ANN401 - any Dask cluster class
    compute = plan.job.compute
    module, _, name = (compute.cluster_class or "").rpartition(".")
    try:
        made = getattr(import_module(module), name)(**compute.cluster_kwargs)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise JobError(
            f"cluster_class {compute.cluster_class}: {error}; give a dotted class name that can be "
            "imported here, and its own keyword arguments"
        ) from error
    if compute.workers != "auto":
        made.scale(compute.workers)
    return made
