"""Batches: one job for many rasters, of which only the new and changed ones are segmented.

An image that fails does not stop the others.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from os.path import commonprefix
from pathlib import PurePosixPath
from typing import Any

from segtasks.config.batch_job import BatchJob
from segtasks.config.job import Job
from segtasks.errors import (
    JobError,
    SegtasksError,
    SourceError,
    StageError,
    redact_text,
    redact_url,
)
from segtasks.outputs.publish import is_outdated, is_published
from segtasks.pipeline.progress_rate import OnProgress
from segtasks.pipeline.run import Result, segment
from segtasks.planning.planner import make_plan
from segtasks.storage import object_store

logger = logging.getLogger("segtasks")

LISTED = 3
SUFFIXES = {".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg"}
MAGIC = set("*?[")
SKIPPED, FAILED = "was done already", "failed"

Row = dict[str, Any]


def outcome(result: Result) -> Row:
    """Return the columns of the table for a finished image."""
    mpx = round(result.height * result.width / 1e6, 2)
    return {"status": result.status, "seconds": result.seconds, "mpx": mpx}


def counts(rows: Sequence[Row]) -> str:
    """Return one line with the number of images that were done, skipped and failed."""
    found = Counter(row["status"] for row in rows)
    skipped, failed = found.pop(SKIPPED, 0), found.pop(FAILED, 0)
    return f"{found.total()} done, {skipped} skipped (unchanged), {failed} failed"


def segment_batch(job: BatchJob, *, on_progress: OnProgress = lambda *_: None) -> list[Row]:
    """Segment every raster of a folder, glob or list whose mask is missing or out of date.

    The masks are ``TO/NAME/mask.tif``. A raster that fails raises nothing and does not stop the
    others: look at ``status``.

    Args:
        job: the rasters and the settings for all of them, e.g.
            ``BatchJob(source="incoming/", to="masks", model="demo")``.
        on_progress: called as ``on_progress(stage, done, total, px)`` when tiles of the current
            raster are done, from the threads of the stages.

    Returns:
        One row per raster, in the order of their names: ``source``, ``mask`` and ``status``
        (``done``, ``was done already`` or ``failed``); ``seconds`` and ``mpx`` of those that were
        done; ``error``, one line, of those that failed.

    Raises:
        SourceError: no raster is found.
        JobError: two rasters would share a destination.

    Example:
        ```python
        rows = segtasks.segment_batch(segtasks.BatchJob(source="incoming/", to="masks"))
        failed = [row["source"] for row in rows if row["status"] == "failed"]
        ```
    """
    return list(segment_each(job, lambda each: outcome(segment(each, on_progress))))


def segment_each(batch: BatchJob, one: Callable[[Job], Row]) -> Iterator[Row]:
    """Segment each raster of a batch in turn; yield a row of the table for each.

    Args:
        batch: the job; its rasters are listed before the first one is segmented.
        one: segments one raster and returns its `outcome`.

    Raises:
        SourceError: no raster is found.
        JobError: two rasters would share a destination.
    """
    return (_row(job, one) for job in find_jobs(batch))


def require_all(rows: Sequence[Row]) -> None:
    """Raise an error if an image has failed.

    Raises:
        StageError: names the first failed images.
    """
    failed = [row for row in rows if row["status"] == FAILED]
    if failed:
        names = ", ".join(row["source"] for row in failed[:LISTED])
        raise StageError(f"{len(failed)} of {len(rows)} images failed: {names}; see the table")


def _row(job: Job, one: Callable[[Job], Row]) -> Row:
    """Segment one raster; an error becomes the row of a failed image."""
    row = {"source": redact_url(job.source), "mask": redact_url(f"{job.to}/mask.tif")}
    try:
        todo = _due(job)
        return row | ({"status": SKIPPED} if todo is None else one(todo))
    except SegtasksError as error:
        return row | {"status": FAILED, "error": str(error)}
    except Exception as error:  # the other images are segmented first
        logger.exception("%s", row["source"])
        reason = redact_text(f"{type(error).__name__}: {error}")
        return row | {"status": FAILED, "error": reason}


def _due(job: Job) -> Job | None:
    """Return the job to run; ``None`` if its mask is there and up to date."""
    plan = make_plan(job)
    if is_outdated(plan):
        return job.model_copy(update={"overwrite": True, "fresh": True})
    return None if is_published(plan) else job


def find_jobs(batch: BatchJob) -> list[Job]:
    """Return one job per raster, sorted by name.

    Raises:
        SourceError: no raster is found.
        JobError: two rasters would share a destination.
    """
    names = _names(batch)
    destinations = [f"{batch.to}/{PurePosixPath(name).with_suffix('')}" for name in names.values()]
    twice = [to for to in destinations if destinations.count(to) > 1]
    if twice:
        raise JobError(f"{twice[0]}: two sources have this destination; rename one of them")
    settings = batch.model_dump(exclude={"source", "to", "workspace"})
    found = []
    for url, to in zip(names, destinations, strict=True):
        below = to.removeprefix(batch.to).strip("/")
        workspace = batch.workspace and f"{batch.workspace}/{below}"
        found.append(Job(source=url, to=to, workspace=workspace, **settings))
    return found


def _names(batch: BatchJob) -> dict[str, str]:
    """Return the URL of each raster, with its name below the prefix."""
    if batch.source.endswith(".txt"):
        urls = object_store.read_bytes(batch.source).decode().split("\n")
        found = _below_common_folder([url.strip() for url in urls if url.strip()])
    elif _is_raster(batch.source) and not MAGIC & set(redact_url(batch.source)):
        found = _below_common_folder([batch.source])
    else:
        found = _listed(batch)
    if not found:
        raise SourceError(f"{batch.source}: no raster there ({', '.join(sorted(SUFFIXES))})")
    return found


def _below_common_folder(urls: list[str]) -> dict[str, str]:
    """Return each URL, with its name below the deepest common folder, if there is one."""
    parts = [redact_url(url).split("/") for url in urls]
    shared = len(commonprefix([words[:-1] for words in parts]))  # noqa: RUF071 - of words
    are_relative = not any("://" in url or url.startswith(("/", "..")) for url in urls)
    below = shared if shared or are_relative else -1
    return {url: "/".join(words[below:]) for url, words in zip(urls, parts, strict=True)}


def _listed(batch: BatchJob) -> dict[str, str]:
    is_glob = bool(MAGIC & set(batch.source))
    prefix = batch.source.split("*")[0].rpartition("/")[0] if is_glob else batch.source.rstrip("/")
    urls = object_store.find(batch.source if is_glob else f"{prefix}/**")
    skipped = f"{batch.to}/"
    return {
        url: url.removeprefix(f"{prefix}/").lstrip("/")
        for url in urls
        if _is_raster(url) and not url.startswith(skipped)
    }


def _is_raster(url: str) -> bool:
    return PurePosixPath(redact_url(url)).suffix.lower() in SUFFIXES
