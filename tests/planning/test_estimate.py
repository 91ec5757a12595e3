"""The arithmetic of estimates: against scipy, brute force and schedules made by hand."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rasterio
from scipy import stats

from segtasks.config.job import make_job
from segtasks.errors import ResourceError
from segtasks.planning import cost, resource_check, timing_sample
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from segtasks.planning.runtime_estimate import Timed, Timing, Work, estimate_runtime, student
from segtasks.planning.traffic import traffic
from segtasks.planning.worker import PROCESS_BYTES
from segtasks.raster.grid import Window
from segtasks.storage import raster_reader
from tests.helpers import job_runs

TILING = {"tile_px": 256, "patch_px": 256, "overlap_px": 64}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("estimate") / "photo.tif", 900, 1200)


def planned(photo: Path, tmp_path: Path, **settings: Any) -> Plan:  # noqa: ANN401 - of a job
    values = {"source": str(photo), "to": str(tmp_path / "o"), "tiling": TILING}
    return make_plan(make_job(values | settings))


def timed(work_px: float, compute: float, storage: float = 0.0) -> Timed:
    return Timed(work_px=work_px, compute_seconds=compute, storage_seconds=storage)


def timing(tiles: Any, processes: int, **changes: Any) -> Timing:  # noqa: ANN401 - of Timing
    pools = dict.fromkeys(tiles, ("all", processes))
    base = {"tiles": tiles, "pools": pools, "startup_seconds": 5.0, "write_seconds": 2.0}
    return Timing(**(base | changes))


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 15, 100])
def test_students_quantile_is_scipys(degrees: int) -> None:
    assert math.isclose(student(degrees), stats.t.ppf(0.95, degrees), rel_tol=0.01)


def test_equal_tiles_leave_scheduling_and_storage_alone_in_doubt() -> None:
    tiles = {"ingest": [timed(10, 0, 1)] * 3, "predict": [timed(100, 8, 2)] * 3}
    work: Any = {"ingest": Work(px=160, tiles=16), "predict": Work(px=1600, tiles=16)}
    found = estimate_runtime(work, timing(tiles, 2))
    assert found.stages == {"ingest": 16.0, "predict": 160.0}
    # 128 s of computing, 48 s of storage; two processes; one chain of 1 + 10 s at the end.
    assert found.low == pytest.approx(7 + 128 / 2)
    assert found.high == pytest.approx(7 + 176 / 2 + 11 / 2)
    assert found.seconds == pytest.approx((found.low + found.high) / 2)
    assert found.timed_tiles == {"ingest": 3, "predict": 3}
    price = found.price(36.0)
    assert price["price"] == pytest.approx(found.seconds / 100)
    assert price["price_low"] < price["price"] < price["price_high"]


def test_one_process_has_no_last_tile_to_wait_for() -> None:
    tiles = {"predict": [timed(100, 8)] * 3}
    found = estimate_runtime({"predict": Work(px=500, tiles=5)}, timing(tiles, 1))
    assert found.low == found.seconds == found.high == pytest.approx(7 + 40)


def test_more_processes_than_tiles_do_not_help() -> None:
    tiles = {"predict": [timed(100, 8)] * 2}
    work: Any = {"predict": Work(px=200, tiles=2)}
    assert (
        estimate_runtime(work, timing(tiles, 50)).low
        == estimate_runtime(work, timing(tiles, 2)).low
    )


def test_the_slower_pool_counts() -> None:
    tiles: Any = {"predict": [timed(1, 1)] * 2, "refine": [timed(1, 5)] * 2}
    work: Any = {"predict": Work(px=40, tiles=40), "refine": Work(px=40, tiles=40)}
    pools = {"predict": ("GPU", 1), "refine": ("CPU", 10)}
    assert estimate_runtime(work, timing(tiles, 1, pools=pools)).low == pytest.approx(7 + 40)


def test_the_interval_is_the_ratio_estimators() -> None:
    """Cochran (1977), 6.4: the standard error of total = N/n sum is from residuals y - R x."""
    sample = [timed(100, 8), timed(50, 5), timed(100, 11), timed(80, 7)]
    tiles: Any = {"predict": sample}
    work: Any = {"predict": Work(px=3300, tiles=40)}
    found = estimate_runtime(work, timing(tiles, 1))
    rate = 31 / 330
    residuals = [each.compute_seconds - rate * each.work_px for each in sample]
    deviation = math.sqrt(sum(value**2 for value in residuals) / 3)
    error = 3300 / (330 / 4) * deviation / math.sqrt(4)
    assert found.seconds == pytest.approx(7 + 310)
    assert found.high - found.seconds == pytest.approx(stats.t.ppf(0.95, 3) * error, rel=0.01)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("tile_px", [256, 320])
def test_work_is_what_the_stages_touch(
    photo: Path, tmp_path: Path, stitch: str, tile_px: int
) -> None:
    tiling = TILING | {"stitch": stitch, "tile_px": tile_px}
    with rasterio.open(photo) as dataset:
        left, bottom = dataset.transform @ (100, 700)
    crf = {"window_px": 320, "halo_px": 50}
    for aoi in (None, f"{left},{bottom},{left + 90},{bottom + 60}"):
        plan = planned(photo, tmp_path, tiling=tiling, aoi=aoi, crf=crf)
        need = cost.plan_cost(plan)
        for stage in plan.stages:
            each = [cost.tile_px(plan, stage, tile) for tile in plan.selected(stage)]
            assert need.work_px[stage] == pytest.approx(sum(each))
        cores = [plan.tiles.core(tile) for tile in plan.selected("predict")]
        patches = [patch.window.pixels for core in cores for patch in plan.patches.touching(core)]
        assert need.work_px["predict"] == sum(patches)
        assert need.tiles == len(cores)
        assert (need.tiles < len(plan.tiles)) == (aoi is not None)


@pytest.mark.parametrize("crf", [None, {"window_px": 512, "halo_px": 40}], ids=["plain", "crf"])
def test_a_sample_is_a_whole_small_run(photo: Path, tmp_path: Path, crf: object) -> None:
    plan = planned(photo, tmp_path, crf=crf)
    units = timing_sample.sample_tiles(plan, 3)
    assert len(set(units)) == 3
    chosen = timing_sample.sample_plan(timing_sample.with_own_workspace(plan), units)
    assert chosen.job.workspace_url != plan.job.workspace_url
    assert list(chosen.selected(chosen.stages[-1])) == sorted(units)
    for tile in units:
        core = plan.mask_grid.core(tile)
        predicted = chosen.selected("predict")
        assert all(each in predicted for each in plan.tiles.touching(core))
    assert timing_sample.sample_tiles(plan, 999) == list(plan.selected(plan.stages[-1]))


def test_memory_that_lacks_is_refused_with_what_fits(photo: Path, tmp_path: Path) -> None:
    tiling = {"patch_px": 1024, "overlap_px": 64}
    plan = planned(photo, tmp_path, tiling=tiling | {"tile_px": 2048}, crf=None)
    limit = (cost.plan_cost(plan).peak_bytes + PROCESS_BYTES) // 2
    with pytest.raises(ResourceError, match=r"a worker has .* GiB; use (--.*), or give") as refused:
        resource_check.check_memory(plan, limit)
    words = str(refused.value).partition("; use ")[2].partition(", or give")[0].replace(" and", "")
    names, values = words.split()[::2], words.split()[1::2]
    keys = [name.removeprefix("--").replace("-", "_") for name in names]
    given = dict(zip(keys, map(int, values), strict=True))
    changed = planned(photo, tmp_path, tiling={"tile_px": 2048} | tiling | given, crf=None)
    resource_check.check_memory(changed, limit)
    with pytest.raises(ResourceError, match="nothing smaller fits; give each worker"):
        resource_check.check_memory(plan, 2**20)


def test_a_full_disk_is_refused(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photo, tmp_path)
    need = sum(resource_check.disk_bytes(plan).values())
    full = SimpleNamespace(free=need - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    with pytest.raises(ResourceError, match=r"the job needs about .* GiB on this disk"):
        resource_check.check_disk(plan)
    full.free = need
    resource_check.check_disk(plan)


def test_what_is_local_crosses_no_network(photo: Path, tmp_path: Path) -> None:
    assert traffic(planned(photo, tmp_path)).total == 0
    plan = planned(photo, tmp_path)
    far = replace(plan, job=plan.job.model_copy(update={"workspace": "s3://bucket/w"}))
    moved = traffic(far)
    # The image once, by halves; each halo, probabilities and mask on top.
    assert moved.workspace_written == cost.plan_cost(far).workspace_bytes // 2
    assert moved.workspace_read > moved.workspace_written
    assert (moved.source, moved.results) == (0, 0)


def test_results_beside_the_mask_count(photo: Path, tmp_path: Path) -> None:
    asked = {"confidence": "margin", "probabilities": True}
    alone = planned(photo, tmp_path, crf=None, outputs={"confidence": None})
    more = planned(photo, tmp_path, crf=None, outputs=asked)
    px, classes = more.raster.pixels, len(more.card.classes)
    stored = [cost.plan_cost(plan).workspace_bytes for plan in (alone, more)]
    assert stored[1] - stored[0] == px * (1 + 2 * classes)
    sizes = resource_check.result_bytes(more)
    pictures = {name: size for name, size in sizes.items() if name in ("quicklook", "report")}
    assert list(sizes) == ["mask", "confidence", "probabilities", *pictures]
    assert sizes["probabilities"] == px * classes
    assert resource_check.result_bytes(alone) == {"mask": sizes["mask"], **pictures}
    far = replace(more, job=more.job.model_copy(update={"to": "s3://bucket/o"}))
    assert traffic(far).results == sum(sizes.values())
    # The CRF reads probabilities whether they are asked for or not.
    kept = [planned(photo, tmp_path, outputs={"probabilities": asked}) for asked in (False, True)]
    assert len({cost.plan_cost(plan).workspace_bytes for plan in kept}) == 1


def test_a_tile_costs_all_blocks_it_touches(photo: Path) -> None:
    raster = raster_reader.describe(str(photo))
    blocks = raster_reader.blocks(raster)
    with rasterio.open(photo) as dataset:
        assert (blocks.height, blocks.width) == dataset.block_shapes[0]
    side = blocks.height
    assert blocks.touched_px(Window(0, 0, side, side)) == side**2
    assert blocks.touched_px(Window(side - 1, side, 2, side + 1)) == 4 * side**2
    assert blocks.bytes_per_px == pytest.approx(photo.stat().st_size / raster.pixels)
