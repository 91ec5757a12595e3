"""The flow of one raster: the route of ``route.py``, each stage a Prefect task run."""

from pathlib import PurePosixPath
from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from segtasks.config.job import Job
from segtasks.errors import redact_url
from segtasks.orchestration.artifacts import ProgressArtifacts, run_log, show, show_plan
from segtasks.orchestration.run_states import as_failed_state, parse_job
from segtasks.orchestration.tasks import stage
from segtasks.pipeline import dry_run
from segtasks.pipeline.run import run_job


def named(verb: str, job: Job | dict[str, Any]) -> str:
    """What is processed, and with which model."""
    values = job.model_dump() if isinstance(job, Job) else job
    source, model = (
        redact_url(str(values.get("source", "?"))),
        redact_url(str(values.get("model", "demo"))),
    )
    return f"{verb} {PurePosixPath(source).name} with {PurePosixPath(model).stem}"


def _run_name() -> str:
    given = runtime.flow_run.parameters
    return named("plan" if given.get("dry_run") else "segment", given["job"])


@flow(
    name="segment",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=8),  # type: ignore[arg-type] # future type varies
    persist_result=False,
    validate_parameters=False,  # see refusal
)
def segment(
    job: Job,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a field of the form
    measure: bool = False,  # noqa: FBT001, FBT002 - the same
) -> dict[str, Any] | State[Any]:
    """Segment one raster: source in, full-resolution mask out. Run again, it resumes.

    Args:
        job: What to segment, with which model, and where the mask goes.
        dry_run: Only say what this would do and need, and refuse what cannot fit.
        measure: In a dry run, time a few tiles and say how long it will take.
    """
    if dry_run:
        return as_failed_state(lambda: _plan(parse_job(Job, job), measure=measure))
    return as_failed_state(lambda: _segment(parse_job(Job, job)))


def _plan(job: Job, *, measure: bool) -> dict[str, Any]:
    made = dry_run.dry_run(job, measure=measure, on_progress=ProgressArtifacts().tell)
    show_plan(made)
    return made.figures


def _segment(job: Job) -> dict[str, Any]:
    progress = ProgressArtifacts()
    with run_log():
        result = run_job(job, stage.submit, progress.tell)
    show(result, job.model, progress.timings())
    return result.model_dump(mode="json")
