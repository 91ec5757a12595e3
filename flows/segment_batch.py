"""The flow that segments many rasters: only new or changed ones, each in a subflow run."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from segtasks.config.batch_job import BatchJob
from segtasks.config.job import Job
from segtasks.orchestration.artifacts import show_batch
from segtasks.orchestration.run_states import as_failed_state, parse_job
from segtasks.orchestration.segment_run import batch_run_name, run_name, segment_with_artifacts
from segtasks.orchestration.tasks import STAGE_RUNNER
from segtasks.pipeline.batch import Row, outcome, require_all, segment_each
from segtasks.pipeline.run import Result


@flow(
    name="segment-batch",
    flow_run_name=batch_run_name,
    persist_result=False,
    validate_parameters=False,  # parse_job does it, with a message of one line
)
def segment_batch(job: BatchJob) -> list[dict[str, Any]] | State[Any]:
    """Segment every raster of a prefix, glob or manifest whose mask is missing or out of date.

    Args:
        job: Where the rasters are, the settings for all of them, and where the masks go.
    """
    return as_failed_state(lambda: _segment_batch(parse_job(BatchJob, job)))


def _segment_batch(job: BatchJob) -> list[Row]:
    rows = []
    for row in segment_each(job, lambda each: outcome(Result.model_validate(segment(each)))):
        rows.append(row)
        if "error" in row:
            get_run_logger().error("%s", row["error"])
    show_batch(job.source, rows)
    require_all(rows)
    return rows


@flow(
    name="segment",
    flow_run_name=run_name,
    task_runner=STAGE_RUNNER,
    persist_result=False,
    validate_parameters=False,
)
def segment(job: Job) -> dict[str, Any] | State[Any]:
    """Segment one raster of the batch, in a subflow run with its own log and artifacts."""
    return as_failed_state(lambda: segment_with_artifacts(job))
