"""A stage as a Prefect task run: retries and its place in the UI, no logic."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from segtasks.errors import SegtasksError
from segtasks.pipeline.run import Work

STAGE_RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=8)
"""The stages of a run are active at the same time; no run has more than eight."""


def _is_worth_a_retry(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Return whether a failed stage may succeed at a second attempt.

    A SegtasksError is final: its tiles were retried one by one, or no retry can help.
    """
    return not isinstance(state.result(raise_on_failure=False), SegtasksError)


@task(
    name="stage",
    task_run_name="{name}",
    tags=["segtasks"],
    retries=1,
    retry_delay_seconds=10,
    retry_condition_fn=_is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def stage(name: str, work: Work) -> object:  # noqa: ARG001 - it names the task run
    """Run a stage; its tiles are plain Dask futures inside."""
    return work()
