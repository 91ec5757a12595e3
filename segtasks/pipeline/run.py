"""Run a job: plan, workspace, all stages at once, then publish the results.

This module knows neither Prefect nor Dask. ``start`` runs a stage, in a thread or as a Prefect
task, and the executors run its tiles.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Protocol

import psutil
from pydantic import BaseModel, PlainSerializer

from segtasks.config.job import Job
from segtasks.errors import StageError, redact_url
from segtasks.outputs import publish
from segtasks.pipeline import tile_task
from segtasks.pipeline.executors import Executors, open_executors
from segtasks.pipeline.progress_rate import OnProgress
from segtasks.pipeline.stage_runner import StageRun
from segtasks.pipeline.tile_board import TileBoard
from segtasks.pipeline.workspace_setup import (
    clear_workspace,
    done_tiles,
    prepare_workspace,
    recall_tuning,
    remember_tuning,
)
from segtasks.planning.plan import Plan, Stage
from segtasks.planning.planner import make_plan
from segtasks.planning.resource_check import check_memory
from segtasks.planning.stages import STAGES
from segtasks.raster.pixel_area import pixel_area_m2
from segtasks.storage import receipts
from segtasks.storage.receipts import Receipt

Work = Callable[[], Any]


class Running(Protocol):
    """A started stage."""

    def result(self) -> Any:  # noqa: ANN401 - a stage returns what it likes
        """Wait for the stage and return its result; raise the error that it raised."""


Start = Callable[[str, Work], Running]
PROCESS_START_SECONDS = 30.0
"""A process that is older when a run starts did other things before, as in a notebook."""


class Result(BaseModel):
    """What a run did. Its text is `lines`; in its dump and its text URLs have no secrets.

    Attributes:
        status: ``done`` or ``was done already``.
        source: the raster that was segmented.
        urls: what was written, by name: ``mask``, ``confidence``, ``report``, ...
        height: rows of the raster and of the mask.
        width: columns of the raster and of the mask.
        tiles: tiles of each stage.
        tiles_done: tiles done in this run per stage; the others had their receipt.
        class_px: pixels per class name; empty if this run wrote no tile.
        seconds: wall time of this run.
        mpx_per_second: labelled megapixels per second of this run.
        network: how the network was run, where that was measured.
        pixel_m2: area of the raster's middle pixel on the ground in square metres, where it is
            known.
        startup_seconds: from the start of the process to the first forward of this run; from the
            start of the run if the process is older than half a minute, as in a notebook.
        warnings: what the plan warns of, one line each.
    """

    status: str
    source: str
    urls: dict[str, Annotated[str, PlainSerializer(redact_url)]]
    height: int
    width: int
    tiles: dict[str, int] = {}
    tiles_done: dict[str, int] = {}
    class_px: dict[str, int] = {}
    pixel_m2: float | None = None
    seconds: float = 0.0
    startup_seconds: float | None = None
    mpx_per_second: float = 0.0
    network: str | None = None
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the result as lines of text: files, shares of the classes, tiles and time."""
        total = max(sum(self.class_px.values()), 1)
        shares = [f"{name} {100 * px / total:.1f} %" for name, px in self.class_px.items()]
        tiles = [f"{stage} {n} of {self.tiles[stage]}" for stage, n in self.tiles_done.items()]
        rows = [f"{name:<10} {redact_url(url)}" for name, url in self.urls.items()]
        if shares:
            rows.append(f"classes    {', '.join(shares)}")
        rows.append(f"tiles      {', '.join(tiles)} done in this run")
        rows += [f"network    {self.network}"] if self.network else []
        speed = f"{self.mpx_per_second:.2f} MPx/s" if self.class_px else self.status
        started = (
            "" if self.startup_seconds is None else f" (start-up {self.startup_seconds:.1f} s)"
        )
        return [*rows, f"time       {self.seconds:.1f} s{started}, {speed}"]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ANN401, ARG002, FBT001 - IPython's
        """Show the lines in a notebook or IPython."""
        printer.text(str(self))


def run_job(job: Job, start: Start, on_progress: OnProgress) -> Result:
    """Do what is missing of ``job`` and publish the results.

    Args:
        job: the job; a finished one is recognised and not run again.
        start: starts a stage, given its name and its work.
        on_progress: is called with the progress of each stage.

    Raises:
        SegtasksError: the input is refused before any work, or tiles could not be done.
    """
    started = time.perf_counter()
    plan = make_plan(job)
    if publish.is_published(plan):
        _clean_up(job)
        return _result(plan, "was done already", publish.finish_publication(plan), started)
    prepare_workspace(plan)
    plan, tiles_done = _run_stages(recall_tuning(plan), start, on_progress)
    urls = start("write", lambda: _write(plan, on_progress)).result()
    result = _result(plan, "done", urls, started, tiles_done)
    _clean_up(job)
    return result


def _write(plan: Plan, on_progress: OnProgress) -> dict[str, str]:
    on_progress("write", 0, len(plan.mask_grid))
    return publish.publish(plan, partial(on_progress, "write"))


def _clean_up(job: Job) -> None:
    if not job.keep_workspace:
        clear_workspace(job.workspace_url)


def segment(job: Job, on_progress: OnProgress = lambda *_: None) -> Result:
    """Segment one raster, without Prefect. Call it again after a kill: it resumes.

    With worker processes (``compute.kind`` ``auto``, ``local``, ``gpu``) it starts a Dask cluster
    on this machine and ends it before it returns.

    Args:
        job: what to segment and how, e.g. ``Job(source="ortho.tif", to="result", model="demo")``.
        on_progress: called as ``on_progress(stage, done, total, px)`` when tiles of a stage are
            done, from the threads of the stages; ``px`` is the number of pixels of all its tiles,
            0 where that is not known.

    Returns:
        What was written and how fast; the mask is ``result.urls["mask"]``.

    Raises:
        SegtasksError: bad input (`JobError`, `SourceError`, `ModelError`, `DestinationError`,
            `WorkspaceError`), before any work; too little memory or disk (`ResourceError`); tiles
            that could not be done (`StageError`), where what is done is kept.

    Example:
        ```python
        result = segtasks.segment(segtasks.Job(source="ortho.tif", to="result", crf=None))
        with rasterio.open(result.urls["mask"]) as mask:
            labels = mask.read(1)  # (H, W), uint8; 255 is nodata
        ```
    """
    with ThreadPoolExecutor(thread_name_prefix="stage") as pool:
        return run_job(job, lambda _, work: pool.submit(work), on_progress)


def _run_stages(plan: Plan, start: Start, on_progress: OnProgress) -> tuple[Plan, dict[str, int]]:
    """Run all tiled stages at once: a tile starts as soon as the tiles that it reads are done."""
    before = done_tiles(plan)
    if all(len(before[stage]) == len(plan.selected(stage)) for stage in plan.stages):
        return plan, dict.fromkeys(plan.stages, 0)
    with open_executors(plan) as tiles:
        check_memory(plan, tiles.worker_bytes)
        plan = _autotuned(plan, tiles)
        board = TileBoard(plan, before)
        try:
            running = {
                stage: start(stage, _stage(plan, stage, tiles, board, on_progress))
                for stage in plan.stages
            }
            return plan, _join(running)
        finally:
            # Also on Ctrl-C and on cancelling: no stage submits another tile.
            board.stop()


def _autotuned(plan: Plan, tiles: Executors) -> Plan:
    """Measure what the job leaves open on a worker, unless the workspace has it already."""
    if plan.tuned.samples or not plan.job.inference.needs_autotuning:
        return plan
    return remember_tuning(
        plan, tiles.executor("predict").submit(tile_task.autotune, plan).result()
    )


def _join(running: dict[Stage, Running]) -> dict[str, int]:
    """Wait for every stage; where one has failed tiles, the others continue without them."""
    counts: dict[str, int] = {}
    errors = []
    for stage, run in running.items():
        try:
            counts[stage] = run.result()
        except StageError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return counts


def _stage(
    plan: Plan, stage: Stage, tiles: Executors, board: TileBoard, on_progress: OnProgress
) -> Work:
    def work() -> int:
        # A new one for each attempt: a Prefect task may be retried.
        run = StageRun(plan=plan, stage=stage, engine=tiles, board=board, on_progress=on_progress)
        return run.run()

    return work


def _result(
    plan: Plan,
    status: str,
    urls: dict[str, str],
    started: float,
    tiles_done: dict[str, int] | None = None,
) -> Result:
    seconds = time.perf_counter() - started
    url, prints = plan.job.workspace_url, plan.fingerprints
    forwarding = {stage for stage in plan.stages if STAGES[stage].computes == "network"}
    stages = {*forwarding, plan.stages[-1]} if tiles_done else set()
    reports = {stage: receipts.read_all(url, prints[stage], stage) for stage in stages}
    labelled = plan.selected(plan.mask_stage)
    forwarded = [receipt for stage in forwarding for receipt in reports.get(stage, [])]
    return Result(
        status=status,
        source=redact_url(plan.job.source),
        urls=urls,
        height=plan.raster.height,
        width=plan.raster.width,
        tiles={stage: len(plan.selected(stage)) for stage in plan.stages},
        tiles_done=tiles_done or dict.fromkeys(plan.stages, 0),
        class_px=_class_px(plan, reports.get(plan.stages[-1], [])),
        pixel_m2=pixel_area_m2(plan.raster),
        seconds=round(seconds, 2),
        startup_seconds=_startup_seconds(forwarded, seconds),
        mpx_per_second=round(labelled.pixels / 1e6 / seconds, 3),
        network=plan.tuned.line if plan.tuned.samples else None,
        warnings=plan.warnings,
    )


def _startup_seconds(forwarded: list[Receipt], seconds: float) -> float | None:
    """Return the time to the first forward of this run; ``None`` when it made none."""
    since = time.time() - seconds
    of_this_run = [receipt.began for receipt in forwarded if receipt.began > since]
    if not of_this_run:
        return None
    created = psutil.Process().create_time()
    started = created if since - created < PROCESS_START_SECONDS else since
    return round(min(of_this_run) - started, 2)


def _class_px(plan: Plan, written: list[Receipt]) -> dict[str, int]:
    """Sum the receipts: no second pass over the mask is needed."""
    names = {entry.id: entry.name for entry in plan.card.classes}
    total = dict.fromkeys(names.values(), 0) if written else {}
    for receipt in written:
        for class_id, count in receipt.histogram.items():
            total[names[class_id]] += count
    return total
