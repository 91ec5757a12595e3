"""The flow of many rasters: only what is new or changed, and one bad image stops no other."""

from typing import Any

from prefect import flow, get_run_logger

from flows.artifacts import show_batch
from flows.many import require_all, segment_each
from flows.segment import segment
from segtasks.batch import BatchJob


@flow(name="segment-batch", persist_result=False)
def segment_batch(job: BatchJob) -> list[dict[str, Any]]:
    """Segment every raster of a prefix, glob or manifest whose mask is missing or out of date.

    Args:
        job: Where the rasters are, the settings for all of them, and where the masks go.
    """
    rows = []
    for row in segment_each(job, lambda each: segment(each)["status"]):
        rows.append(row)
        if "error" in row:
            get_run_logger().error("%s", row["error"])
    show_batch(rows)
    require_all(rows)
    return rows
