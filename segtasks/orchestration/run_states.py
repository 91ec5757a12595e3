"""States of flow runs: a SegtasksError as one line without a traceback, and interrupted runs."""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import State, StateType
from prefect.states import Crashed, Failed
from pydantic import BaseModel

from segtasks.config.loading import validated
from segtasks.errors import SegtasksError

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


def parse_job(model: type[M], job: M | dict[str, Any]) -> M:
    """Return the job of a flow run's parameters.

    Flows switch off Prefect's own validation, whose message has many lines, so the parameters
    arrive unchecked.

    Raises:
        JobError: A field is invalid, or fields contradict each other, which no form can check.
    """
    return job if isinstance(job, model) else validated(model, dict(job))


def as_failed_state(work: Callable[[], R]) -> R | State[Any]:
    """Return what ``work`` returns, or a failed state with the line of its SegtasksError."""
    try:
        return work()
    except SegtasksError as error:
        get_run_logger().error("%s", error)
        # A flow that calls this one as a subflow gets the error itself.
        return Failed(message=str(error), data=error)


STARTED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
MESSAGE = "ended with `segtasks up`; what is done is kept, run it again to resume"


def mark_interrupted(api_url: str, pool: str) -> int:
    """Mark the started runs of a work pool without a worker as crashed; return their number.

    A worker that was killed cannot report the end of its runs: they would stay in state Running.
    """
    started = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=STARTED)))
    of_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    with SyncPrefectClient(api_url) as client:
        runs = client.read_flow_runs(flow_run_filter=started, work_pool_filter=of_pool)
        for run in runs:
            client.set_flow_run_state(run.id, Crashed(message=MESSAGE), force=True)
    return len(runs)
