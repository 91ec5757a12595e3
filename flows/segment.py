"""The flow of one raster: the route of ``route.py``, each stage a Prefect task run."""

from pathlib import PurePosixPath
from typing import Any

from prefect import flow, runtime
from prefect.task_runners import ThreadPoolTaskRunner

from flows import dry
from flows.artifacts import ProgressArtifacts, run_log, show, show_plan
from flows.route import route
from flows.tasks import stage
from segtasks.job import Job


def _run_name() -> str:
    """What is processed."""
    job = runtime.flow_run.parameters["job"]
    return f"segment {PurePosixPath(job.source).name}"


@flow(
    name="segment",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=8),  # type: ignore[arg-type] # future type varies
    persist_result=False,
)
def segment(job: Job, dry_run: bool = False, measure: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - fields of the form
    """Segment one raster: source in, full-resolution mask out. Run again, it resumes.

    Args:
        job: What to segment, with which model, and where the mask goes.
        dry_run: Only say what this would do and need, and refuse what cannot fit.
        measure: In a dry run, time a few tiles and say how long it will take.
    """
    progress = ProgressArtifacts()
    if dry_run:
        made = dry.dry_run(job, measure=measure, on_progress=progress.tell)
        show_plan(made)
        return made.figures
    with run_log():
        result = route(job, stage.submit, progress.tell)
    show(result)
    return result.model_dump(mode="json")
