"""The flow that segments one raster. Each stage is a Prefect task run."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from segtasks.config.job import Job
from segtasks.orchestration.run_states import as_failed_state, parse_job
from segtasks.orchestration.segment_run import plan_with_artifacts, run_name, segment_with_artifacts
from segtasks.orchestration.tasks import STAGE_RUNNER


@flow(
    name="segment",
    flow_run_name=run_name,
    task_runner=STAGE_RUNNER,
    persist_result=False,
    validate_parameters=False,  # parse_job does it, with a message of one line
)
def segment(
    job: Job,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a field of the form
    measure: bool = False,  # noqa: FBT001, FBT002 - a field of the form
) -> dict[str, Any] | State[Any]:
    """Segment one raster: source in, full-resolution mask out. Run again, it resumes.

    Args:
        job: What to segment, with which model, and where the mask goes.
        dry_run: Only say what this would do and need, and refuse what cannot fit.
        measure: In a dry run, time a few tiles and say how long it will take.
    """
    if dry_run:
        return as_failed_state(lambda: plan_with_artifacts(parse_job(Job, job), measure=measure))
    return as_failed_state(lambda: segment_with_artifacts(parse_job(Job, job)))
