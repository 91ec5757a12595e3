"""The flow of many rasters: only what is new or changed, and one bad image stops no other."""

from typing import Any

from prefect import flow, get_run_logger, runtime
from prefect.client.schemas.objects import State

from flows.segment import named, segment
from segtasks.config.batch_job import BatchJob
from segtasks.config.job import Job
from segtasks.orchestration.artifacts import show_batch
from segtasks.orchestration.run_states import as_failed_state, parse_job
from segtasks.pipeline.batch import Row, outcome, require_all, segment_each
from segtasks.pipeline.run import Result


def _run_name() -> str:
    return named("batch", runtime.flow_run.parameters["job"])


@flow(
    name="segment-batch",
    flow_run_name=_run_name,
    persist_result=False,
    validate_parameters=False,  # see refusal
)
def segment_batch(job: BatchJob) -> list[dict[str, Any]] | State[Any]:
    """Segment every raster of a prefix, glob or manifest whose mask is missing or out of date.

    Args:
        job: Where the rasters are, the settings for all of them, and where the masks go.
    """
    return as_failed_state(lambda: _segment_batch(parse_job(BatchJob, job)))


def _segment_batch(job: BatchJob) -> list[Row]:
    rows = []
    for row in segment_each(job, _one):
        rows.append(row)
        if "error" in row:
            get_run_logger().error("%s", row["error"])
    show_batch(job.source, rows)
    require_all(rows)
    return rows


def _one(job: Job) -> Row:
    """An image as a run of its own inside this one."""
    return outcome(Result.model_validate(segment(job)))
