"""Timing: a few real tiles of a job, stage by stage, on the workers that would run them all."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from dataclasses import replace

import numpy as np

from segtasks.errors import SourceError
from segtasks.outputs.rasters import band
from segtasks.pipeline import tile_task
from segtasks.pipeline.executors import Executors, open_executors
from segtasks.pipeline.progress_rate import OnProgress
from segtasks.pipeline.workspace_setup import clear_workspace, prepare_workspace
from segtasks.planning import cost, timing_sample
from segtasks.planning.plan import Plan, Stage, with_tuned
from segtasks.planning.resource_check import check_memory
from segtasks.planning.runtime_estimate import Estimate, Timed, Timing, Work, estimate_runtime
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Tile, Window
from segtasks.storage import cog, object_store, receipts, workspace
from segtasks.storage.receipts import Receipt

LEAST_UNITS = 4
STORAGE = ("read", "write")


def time_tiles(plan: Plan, on_progress: OnProgress = lambda *_: None) -> Estimate:
    """Return how long ``plan`` takes, by doing some of its tiles.

    As many processes are started as in a run. Each does one tile to warm up, then some tiles are
    timed. The second workspace is removed afterwards.

    Raises:
        ResourceError: the plan does not fit its workers.
        SourceError: there is nothing to do.
    """
    need = cost.plan_cost(plan)
    work = {
        stage: Work(px=px, tiles=len(plan.selected(stage))) for stage, px in need.work_px.items()
    }
    return estimate_runtime(work, _timing(plan, on_progress))


def _timing(plan: Plan, on_progress: OnProgress) -> Timing:
    began = time.perf_counter()
    with open_executors(plan) as tiles:
        check_memory(plan, tiles.worker_bytes)
        pools = {stage: tiles.pool(stage) for stage in plan.stages}
        processes = max(count for _, count in pools.values())
        units = timing_sample.sample_tiles(plan, max(LEAST_UNITS, processes))
        if not units:
            raise SourceError(f"{plan.raster.url}: holds no data there; nothing to time")
        chosen = timing_sample.sample_plan(timing_sample.with_own_workspace(plan), units)
        prepare_workspace(chosen)
        try:
            chosen = _autotuned(chosen, tiles)
            ready = time.perf_counter() - began
            _fill(chosen)
            warm = _done(
                timing_sample.sample_plan(chosen, units[:processes]), tiles, lambda *_: None
            )
            for stage in chosen.stages:
                receipts.forget(chosen.job.workspace_url, stage)
            found = _done(chosen, tiles, on_progress)
            return _timing_of(chosen, pools, ready, warm, found)
        finally:
            clear_workspace(chosen.job.workspace_url)
            object_store.remove_empty_folder(plan.job.to)


def _fill(chosen: Plan) -> None:
    """Write equal probabilities around what is predicted; the CRF takes as long with any values."""
    if not chosen.crf:
        return
    classes = len(chosen.card.classes)
    for tile in chosen.selected("ingest"):
        core = chosen.tiles.core(tile)
        equal = np.full((classes, *core.shape), 1 / classes, np.float16)
        workspace.write(chosen.job.workspace_url, "probabilities", core, equal)


def _autotuned(chosen: Plan, tiles: Executors) -> Plan:
    if not chosen.job.inference.needs_autotuning:
        return chosen
    return with_tuned(chosen, tiles.executor("predict").submit(tile_task.autotune, chosen).result())


def _done(chosen: Plan, tiles: Executors, on_progress: OnProgress) -> dict[Stage, list[Receipt]]:
    """Do all tiles, stage after stage, and return their receipts."""
    url, found = chosen.job.workspace_url, {}
    for stage in chosen.stages:
        todo = list(chosen.selected(stage))
        executor = tiles.executor(stage)
        live = {executor.submit(tile_task.run_tile, chosen, stage, tile) for tile in todo}
        while live:
            finished, live = wait(live, return_when="FIRST_COMPLETED")
            for future in finished:
                future.result()
            on_progress(f"timing-{stage}", len(todo) - len(live), len(todo))
        done = receipts.read_all(url, chosen.fingerprints[stage], stage)
        mine = chosen.selected(stage)
        found[stage] = [each for each in done if Tile(each.row, each.col) in mine]
    return found


def _timing_of(
    chosen: Plan,
    pools: Mapping[Stage, tuple[str, int]],
    ready_seconds: float,
    warm: Mapping[Stage, Sequence[Receipt]],
    found: Mapping[Stage, Sequence[Receipt]],
) -> Timing:
    tiles = {stage: _timed(chosen, stage, warm[stage], found[stage]) for stage in chosen.stages}
    for stage in pools.keys() - tiles.keys():
        tiles[stage] = tiles[STAGES[stage].timed_as or stage]
    return Timing(
        tiles=tiles,
        pools=pools,
        startup_seconds=ready_seconds + _loading_seconds(chosen, warm, tiles),
        write_seconds=_write_seconds(chosen),
    )


def _timed(
    chosen: Plan, stage: Stage, warm: Sequence[Receipt], found: Sequence[Receipt]
) -> list[Timed]:
    """Return the timed tiles without the first one of a worker that was not warmed up."""
    seen = {receipt.worker for receipt in warm}
    timed = []
    for receipt in sorted(found, key=lambda each: each.began):
        if receipt.worker in seen or len(found) == 1:
            timed.append(_of(chosen, stage, receipt))
        seen.add(receipt.worker)
    return timed or [_of(chosen, stage, receipt) for receipt in found]


def _of(chosen: Plan, stage: Stage, receipt: Receipt) -> Timed:
    tile = Tile(receipt.row, receipt.col)
    return Timed(
        work_px=cost.tile_px(chosen, stage, tile),
        compute_seconds=receipt.seconds.get("compute", 0.0),
        storage_seconds=sum(receipt.seconds.get(part, 0.0) for part in STORAGE),
    )


def _loading_seconds(
    chosen: Plan, warm: Mapping[Stage, Sequence[Receipt]], tiles: Mapping[Stage, Sequence[Timed]]
) -> float:
    """Return how much longer the first forward of a process took, since it loads the model."""
    timed = tiles["predict"]
    rate = sum(each.compute_seconds for each in timed) / sum(each.work_px for each in timed)
    first = [_of(chosen, "predict", receipt) for receipt in warm["predict"]]
    over = [each.compute_seconds - rate * each.work_px for each in first]
    return max(0.0, max(over, default=0.0))


def _write_seconds(chosen: Plan) -> float:
    """Return the time to write the COGs of the timed tiles, scaled to the whole raster."""
    grid = chosen.mask_grid
    cores = [grid.core(tile) for tile in chosen.selected(chosen.mask_stage)]
    names = ("mask", "confidence") if chosen.confidence else ("mask",)
    seconds = sum(_cog_seconds(chosen, name, cores) for name in names)
    return seconds * chosen.raster.pixels / sum(core.pixels for core in cores)


def _cog_seconds(chosen: Plan, name: str, cores: Sequence[Window]) -> float:
    """Return the time to write one COG of an array, its cores next to each other."""
    side, url = max(max(core.shape) for core in cores), chosen.job.workspace_url
    small = replace(chosen.raster, height=side, width=side * len(cores), gcps=(), rpcs=())
    began = time.perf_counter()
    parts = (
        (Window(0, index * side, *core.shape), workspace.read(url, name, core))
        for index, core in enumerate(cores)
    )
    with cog.write_cog("timing", small, band(chosen, name), {}, parts):
        return time.perf_counter() - began
