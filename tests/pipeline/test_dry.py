"""Dry runs: they refuse what a run would, leave nothing behind, and time real tiles."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segtasks.cli.doctor_checks import Check, fault, run_checks
from segtasks.config.job import make_job
from segtasks.errors import ResourceError
from segtasks.pipeline.dry_run import dry_run
from segtasks.pipeline.run import segment
from segtasks.pipeline.timing import LEAST_UNITS
from segtasks.planning import timing_sample
from segtasks.planning.products import requested_products
from tests.helpers import job_runs

TILING = {"tile_px": 128, "patch_px": 128, "overlap_px": 64}
CRF = {"iterations": 1, "window_px": 192, "halo_px": 32, "bi_xy_std": 8}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("dry")
    photo = job_runs.write_photo(folder / "photo.tif", 400, 300)
    model = job_runs.write_network(folder / "m.safetensors", "fcn8s_lean", width=0.05)
    base = {"source": str(photo), "model": str(model), "tiling": TILING}
    return base | {"compute": {"kind": "inline"}}


@pytest.mark.parametrize("crf", [CRF, None], ids=["crf", "plain"])
def test_timing_some_tiles_leaves_nothing_behind(
    inputs: dict[str, Any], tmp_path: Path, crf: object
) -> None:
    job = make_job(inputs | {"to": str(tmp_path / "o"), "crf": crf})
    made = dry_run(job, measure=True, price_per_hour=7200.0)
    assert list(tmp_path.iterdir()) == []
    found = made.estimate
    assert found is not None
    assert 0 < found.low <= found.seconds <= found.high
    assert set(found.stages) == set(made.plan.stages)
    assert all(seconds > 0 for seconds in found.stages.values())
    small = timing_sample.sample_plan(made.plan, timing_sample.sample_tiles(made.plan, LEAST_UNITS))
    counts = {stage: len(small.selected(stage)) for stage in made.plan.stages}
    assert found.timed_tiles == counts
    assert counts[made.plan.stages[-1]] == LEAST_UNITS
    assert made.figures["time"]["price"] == pytest.approx(2 * found.seconds)
    assert any(line.startswith("price ") for line in made.lines)


def test_a_begun_workspace_is_left_alone(inputs: dict[str, Any], tmp_path: Path) -> None:
    job = make_job(inputs | {"to": str(tmp_path / "o"), "crf": CRF, "keep_workspace": True})
    segment(job)
    (tmp_path / "o" / "mask.tif").unlink()
    before = job_runs.receipts(tmp_path / "o")
    made = dry_run(job, measure=True)
    assert made.estimate is not None
    assert job_runs.receipts(tmp_path / "o") == before
    names = {path.name for path in (tmp_path / "o").iterdir()}
    files = {Path(product.url(job)).name for product in requested_products(job)}
    assert names == {".workspace", *files} - {"mask.tif"}
    result = segment(job)
    assert set(result.tiles_done.values()) == {0}
    again = dry_run(job, measure=True)
    assert again.published
    assert again.estimate is None


def test_what_cannot_fit_is_refused_before_anything_is_written(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    changes = {"compute": {"kind": "local"}, "limits": {"worker_memory_gib": 0.5}}
    job = make_job(inputs | {"to": str(tmp_path / "o")} | changes)
    for measure in (False, True):
        with pytest.raises(ResourceError, match=r"needs .* GiB per worker, a worker has 0\.5 GiB"):
            dry_run(job, measure=measure)
    assert list(tmp_path.iterdir()) == []


def segtasks(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "segtasks", *map(str, words)]
    given = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=given | environment
    )


def test_a_price_needs_a_time(inputs: dict[str, Any], tmp_path: Path) -> None:
    done = segtasks("plan", inputs["source"], "--to", tmp_path / "o", "--price-per-hour", 3)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--price-per-hour needs the run time; give --measure too" in done.stderr


def test_doctor_is_content_here_and_writes_where_it_is_told(tmp_path: Path) -> None:
    done = segtasks("doctor", tmp_path, "--write", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["fit"]) == (0, True), done.stdout
    names = [check["name"] for check in found["checks"]]
    wanted = ["packages", "network", "crf", "gdal", "memory", "disk", "s3", "url", "prefect"]
    assert names == wanted
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_what_fails_with_its_mend(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/api"
    done = segtasks("doctor", tmp_path / "none.tif", PREFECT_API_URL=nobody)
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("fail ")]
    assert len(failed) == 2
    assert "none.tif: nothing is there; check its name, or give --write" in failed[0]
    assert f"{nobody} does not answer" in failed[1]
    assert "start it (segtasks up)" in failed[1]


def test_doctor_reads_a_store(s3: Any, tmp_path: Path) -> None:  # noqa: ANN401 - ObjectStore
    (there,) = (c for c in run_checks(f"{s3.url}/prefix", write=True) if c.name == "url")
    assert (there.state, there.found) == ("ok", f"{s3.url}/prefix can be written")
    (gone,) = (c for c in run_checks("s3://no-such-bucket/x", write=True) if c.name == "url")
    assert gone.state == "fail"
    assert "check that the bucket exists" in gone.remedy
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("need", "wrong"),
    [
        ("rasterio>=1", None),
        ("rasterio>=99", r"rasterio is 1.4.4, not >=99"),
        ("no-such-package", "no-such-package is missing"),
        ("no-such-package; extra == 'slurm'", None),
        ("no-such-package; python_version < '3'", None),
    ],
)
def test_packages_are_held_against_what_is_needed(need: str, wrong: str | None) -> None:
    assert fault(need) == wrong


def test_packages_of_an_extra_are_judged_where_it_is_asked_for() -> None:
    need = "rasterio>=99; extra == 'prefect'"
    assert fault(need) is None
    assert fault(need, "prefect") == "rasterio is 1.4.4, not >=99"


def test_a_line_holds_state_name_and_mend() -> None:
    assert Check("crf", "warn", "slow", "build it").line == "warn  crf        slow; build it"
