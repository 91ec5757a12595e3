"""Flow runs that ended with their worker, which can no longer say so."""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

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
