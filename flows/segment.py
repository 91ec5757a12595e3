"""The flow of one raster: the route of ``route.py``, each stage a Prefect task run."""

from pathlib import PurePosixPath
from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import ProgressArtifacts, run_log, show
from flows.refusal import parsed, told
from flows.route import route
from flows.tasks import stage
from segtasks.job import Job


def named(verb: str, job: Job | dict[str, Any]) -> str:
    """What is processed, and with which model."""
    values = job.model_dump() if isinstance(job, Job) else job
    source, model = str(values.get("source", "?")), str(values.get("model", "demo"))
    return f"{verb} {PurePosixPath(source).name} with {PurePosixPath(model).stem}"


def _run_name() -> str:
    return named("segment", runtime.flow_run.parameters["job"])


@flow(
    name="segment",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=8),  # type: ignore[arg-type] # future type varies
    persist_result=False,
    validate_parameters=False,  # see refusal
)
def segment(job: Job) -> dict[str, Any] | State[Any]:
    """Segment one raster: source in, full-resolution mask out. Run again, it resumes.

    Args:
        job: What to segment, with which model, and where the mask goes.
    """
    return told(lambda: _segment(parsed(Job, job)))


def _segment(job: Job) -> dict[str, Any]:
    progress = ProgressArtifacts()
    with run_log():
        result = route(job, stage.submit, progress.tell)
    show(result, job.model, progress.timings())
    return result.model_dump(mode="json")
