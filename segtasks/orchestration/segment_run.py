"""What a flow run of one raster does, and its name. Flows of one raster and of many share it."""

from pathlib import PurePosixPath
from typing import Any

from prefect import runtime

from segtasks.config.job import Job
from segtasks.errors import redact_url
from segtasks.orchestration.artifacts import ProgressArtifacts, run_log, show, show_plan
from segtasks.orchestration.tasks import stage
from segtasks.pipeline.dry_run import dry_run
from segtasks.pipeline.run import run_job


def segment_with_artifacts(job: Job) -> dict[str, Any]:
    """Segment one raster in the current flow run, with stages as task runs and artifacts.

    Returns:
        The fields of `segtasks.pipeline.run.Result`, as JSON values.
    """
    progress = ProgressArtifacts()
    with run_log():
        result = run_job(job, stage.submit, progress.tell)
    show(result, job.model, progress.timings())
    return result.model_dump(mode="json")


def plan_with_artifacts(job: Job, *, measure: bool) -> dict[str, Any]:
    """Plan the run of a job and show the plan as an artifact.

    Args:
        job: The job that would run.
        measure: Time a few tiles, too.

    Returns:
        The figures of the plan.
    """
    made = dry_run(job, measure=measure, on_progress=ProgressArtifacts().tell)
    show_plan(made)
    return made.figures


def run_name() -> str:
    """Return the name of the current flow run of one raster."""
    parameters = runtime.flow_run.parameters
    return named("plan" if parameters.get("dry_run") else "segment", parameters["job"])


def batch_run_name() -> str:
    """Return the name of the current flow run of a batch."""
    return named("batch", runtime.flow_run.parameters["job"])


def named(verb: str, job: Job | dict[str, Any]) -> str:
    """Return a name such as ``segment scene.tif with demo``, without secrets of the URLs."""
    values = job.model_dump() if isinstance(job, Job) else job
    source = redact_url(str(values.get("source", "?")))
    model = redact_url(str(values.get("model", "demo")))
    return f"{verb} {PurePosixPath(source).name} with {PurePosixPath(model).stem}"
