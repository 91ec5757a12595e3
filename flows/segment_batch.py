"""The flow of many rasters: only what is new or changed, and one bad image stops no other."""

from typing import Any

from prefect import flow, get_run_logger

from flows.artifacts import show_batch
from flows.segment import segment
from segtasks.batch import BatchJob, jobs
from segtasks.errors import SegtasksError, StageError
from segtasks.job import Job
from segtasks.plan import make_plan
from segtasks.stages.write import is_outdated, is_published

LISTED = 3


@flow(name="segment-batch", persist_result=False)
def segment_batch(job: BatchJob) -> list[dict[str, Any]]:
    """Segment every raster of a prefix, glob or manifest whose mask is missing or out of date.

    Args:
        job: Where the rasters are, the settings for all of them, and where the masks go.
    """
    rows = [_one(each) for each in jobs(job)]
    show_batch(rows)
    failed = [row for row in rows if row["status"] == "failed"]
    if failed:
        names = ", ".join(row["source"] for row in failed[:LISTED])
        raise StageError(f"{len(failed)} of {len(rows)} images failed: {names}; see the table")
    return rows


def _one(job: Job) -> dict[str, Any]:
    """A row of the table."""
    row = {"source": job.source, "mask": f"{job.to}/mask.tif"}
    try:
        todo = _due(job)
        if todo is None:
            return row | {"status": "was done already"}
        return row | {"status": segment(todo)["status"]}
    except SegtasksError as error:
        get_run_logger().error("%s", error)
        return row | {"status": "failed", "error": str(error)}


def _due(job: Job) -> Job | None:
    """The job as it is to be run; ``None`` when its mask is there."""
    plan = make_plan(job)
    if is_outdated(plan):
        return job.model_copy(update={"overwrite": True, "fresh": True})
    return None if is_published(plan) else job
