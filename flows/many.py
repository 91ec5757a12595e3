"""Many rasters in turn: only what is new or changed, and one bad image stops no other."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flows.route import Result
from segtasks.addresses import public, without_secrets
from segtasks.batch import BatchJob, jobs
from segtasks.errors import SegtasksError, StageError
from segtasks.job import Job
from segtasks.planning import make_plan
from segtasks.stages.write import is_outdated, is_published

logger = logging.getLogger("segtasks")

LISTED = 3
SKIPPED, FAILED = "was done already", "failed"

Row = dict[str, Any]


def outcome(result: Result) -> Row:
    """What a table says of a finished image."""
    mpx = round(result.height * result.width / 1e6, 2)
    return {"status": result.status, "seconds": result.seconds, "mpx": mpx}


def counts(rows: Sequence[Row]) -> str:
    """How many images were done, skipped and failed."""
    found = Counter(row["status"] for row in rows)
    skipped, failed = found.pop(SKIPPED, 0), found.pop(FAILED, 0)
    return f"{found.total()} done, {skipped} skipped (unchanged), {failed} failed"


def segment_each(batch: BatchJob, segment: Callable[[Job], Row]) -> Iterator[Row]:
    """Do each raster of a batch with ``segment``, which returns its `outcome`; yield table rows.

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
    failed = [row for row in rows if row["status"] == FAILED]
    if failed:
        names = ", ".join(row["source"] for row in failed[:LISTED])
        raise StageError(f"{len(failed)} of {len(rows)} images failed: {names}; see the table")


def _one(job: Job, segment: Callable[[Job], Row]) -> Row:
    """A row of the table."""
    row = {"source": public(job.source), "mask": public(f"{job.to}/mask.tif")}
    try:
        todo = _due(job)
        return row | ({"status": SKIPPED} if todo is None else segment(todo))
    except SegtasksError as error:
        return row | {"status": FAILED, "error": str(error)}
    except Exception as error:  # the others shall be done before anybody looks at it
        logger.exception("%s", row["source"])
        reason = without_secrets(f"{type(error).__name__}: {error}")
        return row | {"status": FAILED, "error": reason}


def _due(job: Job) -> Job | None:
    """The job as it is to be run; ``None`` when its mask is there."""
    plan = make_plan(job)
    if is_outdated(plan):
        return job.model_copy(update={"overwrite": True, "fresh": True})
    return None if is_published(plan) else job
