"""Many rasters in turn: only what is new or changed, and one bad image stops no other."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from segtasks.batch import BatchJob, jobs
from segtasks.errors import SegtasksError, StageError
from segtasks.job import Job
from segtasks.planning import make_plan
from segtasks.stages.write import is_outdated, is_published

LISTED = 3

Row = dict[str, Any]


def segment_each(batch: BatchJob, segment: Callable[[Job], str]) -> Iterator[Row]:
    """Do each raster of a batch with ``segment``, which returns its status; yield rows of a table.

    Raises:
        SourceError: no raster is found.
        JobError: two rasters would share a destination.
    """
    return (_one(job, segment) for job in jobs(batch))


def require_all(rows: Sequence[Row]) -> None:
    """Fail when an image has.

    Raises:
        StageError: naming the first of them.
    """
    failed = [row for row in rows if row["status"] == "failed"]
    if failed:
        names = ", ".join(row["source"] for row in failed[:LISTED])
        raise StageError(f"{len(failed)} of {len(rows)} images failed: {names}; see the table")


def _one(job: Job, segment: Callable[[Job], str]) -> Row:
    """A row of the table."""
    row = {"source": job.source, "mask": f"{job.to}/mask.tif"}
    try:
        todo = _due(job)
        return row | {"status": "was done already" if todo is None else segment(todo)}
    except SegtasksError as error:
        return row | {"status": "failed", "error": str(error)}


def _due(job: Job) -> Job | None:
    """The job as it is to be run; ``None`` when its mask is there."""
    plan = make_plan(job)
    if is_outdated(plan):
        return job.model_copy(update={"overwrite": True, "fresh": True})
    return None if is_published(plan) else job
