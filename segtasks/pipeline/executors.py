"""What runs tiles: an executor per stage, in this process or on a Dask cluster."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segtasks.errors import ResourceError, redact_text
from segtasks.pipeline.forkserver import open_forkserver
from segtasks.planning.plan import Plan, Stage
from segtasks.planning.stages import STAGES
from segtasks.planning.worker import TILES_IN_FLIGHT

if TYPE_CHECKING:
    from distributed import Client

NO_WORKERS_SECONDS = 120.0
QUEUED = 2  # tiles waiting at the scheduler per tile being done
COUNT_SECONDS = 5.0  # how often workers are counted


@dataclass(frozen=True, kw_only=True)
class Executors:
    """What runs tiles.

    Attributes:
        executor: the executor for a stage; ``submit`` gives a ``concurrent.futures.Future``.
        in_flight: how many tiles of one stage may be submitted at a time, at present.
        worker_bytes: memory of the smallest worker process.
        pool: of a stage the name and the number of the processes that do its tiles.
        check: raises ResourceError when there is nobody left to work.
        killed: the error of a tile whose worker died at every attempt.
    """

    name: str
    executor: Callable[[Stage], Executor]
    in_flight: Callable[[], int]
    worker_bytes: int
    pool: Callable[[Stage], tuple[str, int]] = lambda _: ("all", 1)
    check: Callable[[], None] = lambda: None
    killed: tuple[type[BaseException], ...] = ()

    def is_killed(self, error: BaseException) -> bool:
        """Whether the tile's workers died at every attempt, by this tile or by one beside it."""
        return isinstance(error, self.killed)

    def explain(self, error: BaseException) -> str:
        """One line for the user."""
        if self.is_killed(error):
            return "killed its worker at every attempt (out of memory, or a crash in a library)"
        return " ".join(redact_text(str(error)).split()) or type(error).__name__


@contextmanager
def open_executors(plan: Plan) -> Iterator[Executors]:
    """The engine of ``plan``'s job; everything it started ends with the block."""
    kind = kind_of(plan)
    if kind == "inline":
        with ThreadPoolExecutor(TILES_IN_FLIGHT, "tile") as pool:
            yield _inline(pool)
    else:
        open_forkserver()
        from segtasks.pipeline.dask_cluster import client  # noqa: PLC0415 - 0.5 s that inline jobs need not wait for

        with client(plan, kind) as connected:
            yield _dask(connected, plan)


def kind_of(plan: Plan) -> str:
    """The kind of engine that ``auto`` stands for: no processes are worth starting for one tile."""
    kind = plan.job.compute.kind
    if kind != "auto":
        return kind
    if len(plan.selected("predict")) == 1:
        return "inline"
    from segtasks.pipeline.dask_cluster import gpus  # noqa: PLC0415 - see engine

    return "gpu" if gpus() else "local"


def expected_workers(plan: Plan) -> tuple[int | None, int | None]:
    """The processes that `engine` would start and the memory of each; ``None``: the cluster's."""
    kind = kind_of(plan)
    if kind == "inline":
        return 1, _machine_bytes()
    from segtasks.pipeline.dask_cluster import planned  # noqa: PLC0415 - see engine

    return planned(plan, kind)


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _inline(pool: Executor) -> Executors:
    return Executors(
        name="this process",
        executor=lambda _: pool,
        in_flight=lambda: TILES_IN_FLIGHT,
        worker_bytes=_machine_bytes(),
    )


def _dask(client: "Client", plan: Plan) -> Executors:
    from distributed import KilledWorker  # noqa: PLC0415 - see engine

    client.wait_for_workers(1, timeout=300)
    client.forward_logging("segtasks")
    workers = list(client.scheduler_info(n_workers=-1)["workers"].values())
    has_gpus = any("GPU" in worker["resources"] for worker in workers)
    executors: dict[str, Executor] = {
        stage: client.get_executor(
            pure=False, resources=resources(plan, stage) if has_gpus else None
        )
        for stage in plan.stages
    }
    return Executors(
        name=f"Dask, {len(workers)} processes",
        executor=lambda stage: executors[stage],
        in_flight=_Threads(client).tiles,
        worker_bytes=min(worker["memory_limit"] for worker in workers),
        pool=lambda stage: _pool(plan, stage, workers) if has_gpus else ("all", len(workers)),
        check=_Watch(client).check,
        killed=(KilledWorker,),
    )


def _pool(plan: Plan, stage: Stage, workers: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """The resource that a stage asks for, and how many workers have it."""
    (name,) = resources(plan, stage)
    return name, sum(name in worker["resources"] for worker in workers)


def resources(plan: Plan, stage: Stage) -> dict[str, float]:
    """What a tile asks of a worker, where some have GPUs.

    Half a unit each: two tiles per process, one computing and one at the storage.
    """
    return {"GPU" if STAGES[stage].on_gpu(plan) else "CPU": 1 / TILES_IN_FLIGHT}


@dataclass
class _Threads:
    """Counts the workers' threads: a queue or a cloud starts workers one after another."""

    client: "Client"
    counted: float = -math.inf
    threads: int = 0

    def tiles(self) -> int:
        """What keeps all of them busy."""
        now = time.monotonic()
        if now - self.counted > COUNT_SECONDS:
            self.threads = self.client.scheduler_info(n_workers=1)["total_threads"]
            self.counted = now
        return (1 + QUEUED) * max(1, self.threads)


@dataclass
class _Watch:
    """Looks whether a silent cluster still has workers."""

    client: "Client"
    last_seen: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise ResourceError when there has been no worker for two minutes."""
        now = time.monotonic()
        if self.client.scheduler_info(n_workers=-1)["workers"]:
            self.last_seen = now
        elif now - self.last_seen > NO_WORKERS_SECONDS:
            raise ResourceError(
                f"no Dask worker for {NO_WORKERS_SECONDS:.0f} s; start workers and rerun: what is "
                "done is kept"
            )
