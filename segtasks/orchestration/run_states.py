"""Errors of ours as a flow run's state: one line, no traceback.

Flow runs that ended with their worker, which can no longer say so.
"""

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
    """The job of a run's parameters, which Prefect hands over as they came.

    Flows do without Prefect's own validation, whose message has many lines.

    Raises:
        JobError: one line, for fields that contradict each other: no form can check those.
    """
    return job if isinstance(job, model) else validated(model, dict(job))


def as_failed_state(work: Callable[[], R]) -> R | State[Any]:
    """What ``work`` returns; an error of ours as a failed state with its line as the message."""
    try:
        return work()
    except SegtasksError as error:
        get_run_logger().error("%s", error)
        # With the error, for a flow that has called this one.
        return Failed(message=str(error), data=error)


STARTED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
MESSAGE = "ended with `segtasks up`; what is done is kept, run it again to resume"


def mark_interrupted(api_url: str, pool: str) -> int:
    """Mark the started runs of a work pool that has no worker any more as crashed; how many."""
    started = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=STARTED)))
    of_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    with SyncPrefectClient(api_url) as client:
        runs = client.read_flow_runs(flow_run_filter=started, work_pool_filter=of_pool)
        for run in runs:
            client.set_flow_run_state(run.id, Crashed(message=MESSAGE), force=True)
    return len(runs)
