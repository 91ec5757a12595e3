"""Errors of ours as a flow run's state: one line, no traceback."""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Failed
from pydantic import BaseModel

from segtasks.errors import SegtasksError
from segtasks.settings import validated

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


def parsed(model: type[M], job: M | dict[str, Any]) -> M:
    """The job of a run's parameters, which Prefect hands over as they came.

    Flows do without Prefect's own validation, whose message has many lines.

    Raises:
        JobError: one line, for fields that contradict each other: no form can check those.
    """
    return job if isinstance(job, model) else validated(model, dict(job))


def told(work: Callable[[], R]) -> R | State[Any]:
    """What ``work`` returns; an error of ours as a failed state with its line as the message."""
    try:
        return work()
    except SegtasksError as error:
        get_run_logger().error("%s", error)
        # With the error, for a flow that has called this one.
        return Failed(message=str(error), data=error)
