"""Invariant 8: killed anywhere, a rerun does what is missing; the mask has the same bytes."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import geopandas
import psutil
import pytest

from segtasks.config.job import make_job
from segtasks.pipeline.run import segment
from tests.helpers import job_runs
from tests.helpers.paths import ROOT

OPTIONS = ("--tile-px", "256", "--patch-px", "256", "--overlap-px", "128")
MANY_TILES = ("--tile-px", "64", *OPTIONS[2:])
CRF = ("--crf-bi-xy-std", "8", "--crf-window-px", "256", "--workers", "2", "--compute", "local")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Image, model and the result of an undisturbed run."""
    folder = tmp_path_factory.mktemp("resume")
    photo = job_runs.write_photo(folder / "photo.tif", 1280, 1280)
    model = job_runs.write_network(folder / "model.safetensors", "fcn8s_lean", width=0.05)
    job_runs.run(photo, folder / "whole", model, *OPTIONS, *CRF)
    return photo, model, folder / "whole" / "mask.tif"


def run_with_kills(
    scene: tuple[Path, Path, Path], to: Path, moments: list[float], options: tuple[str, ...]
) -> tuple[int, dict[str, int]]:
    """Kills that hit, and receipts that a later run wrote again (there must be none)."""
    photo, model, _ = scene
    words = job_runs.command(photo, to, model, *options, *CRF, "--keep-workspace")
    hits = 0
    seen: dict[str, int] = {}
    rewritten: dict[str, int] = {}
    for seconds in moments:
        hits += job_runs.kill_after(seconds, words)
        now = job_runs.receipts(to)
        rewritten |= {name: at for name, at in seen.items() if now.get(name) != at}
        seen = now
    result = job_runs.run(photo, to, model, *options, *CRF, "--keep-workspace")
    now = job_runs.receipts(to)
    rewritten |= {name: at for name, at in seen.items() if now.get(name) != at}
    assert len(now) == sum(result["tiles"].values())
    return hits, rewritten


def test_killed_twice_and_resumed(scene: tuple[Path, Path, Path], tmp_path: Path) -> None:
    hits, rewritten = run_with_kills(scene, tmp_path, [6.0, 5.0], OPTIONS)
    assert hits >= 1
    assert rewritten == {}
    for name in ("mask.tif", "confidence.tif"):
        assert job_runs.sha(tmp_path / name) == job_runs.sha(scene[2].with_name(name))


@pytest.mark.slow
def test_killed_at_ten_random_moments(scene: tuple[Path, Path, Path], tmp_path: Path) -> None:
    rng = random.Random(11)  # noqa: S311 - moments, not secrets
    moments = [rng.uniform(0.3, 7) for _ in range(10)]
    hits, rewritten = run_with_kills(scene, tmp_path, moments, MANY_TILES)
    assert hits >= 8
    assert rewritten == {}
    assert job_runs.sha(tmp_path / "mask.tif") == job_runs.sha(scene[2])


def test_a_finished_job_is_not_done_again(scene: tuple[Path, Path, Path]) -> None:
    photo, model, mask = scene
    before = mask.stat().st_mtime_ns
    result = job_runs.run(photo, mask.parent, model, *OPTIONS, *CRF)
    assert result["status"] == "was done already"
    assert mask.stat().st_mtime_ns == before


def test_a_dead_worker_is_replaced(scene: tuple[Path, Path, Path], tmp_path: Path) -> None:
    photo, model, mask = scene
    words = job_runs.command(photo, tmp_path, model, *OPTIONS, *CRF, "--keep-workspace")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    job_runs.wait_until(lambda: len(job_runs.receipts(tmp_path)) > 20, 60)
    nursery = next(child for child in psutil.Process(process.pid).children() if child.children())
    nursery.children()[0].kill()
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    assert json.loads(out)["tiles_done"] == {"ingest": 25, "predict": 25, "refine": 25}
    assert job_runs.sha(tmp_path / "mask.tif") == job_runs.sha(mask)


def test_other_settings_refuse_to_mix(scene: tuple[Path, Path, Path], tmp_path: Path) -> None:
    photo, model, _ = scene
    words = job_runs.command(photo, tmp_path, model, *OPTIONS, *CRF)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    job_runs.wait_until(lambda: len(job_runs.receipts(tmp_path)) > 3, 60)
    job_runs.kill_tree(process.pid)
    process.wait()
    done = job_runs.receipts(tmp_path)
    other = [*words, "--crf-iterations", "3"]
    refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert (
        "was created with another source, model or settings (differs from refine on)"
        in refused.stderr
    )
    assert refused.stderr.count("\n") == 1
    assert job_runs.receipts(tmp_path) == done
    fresh = subprocess.run([*other, "--fresh"], capture_output=True, text=True, check=False)
    assert fresh.returncode == 0, fresh.stderr


def test_a_changed_source_refuses_to_mix(scene: tuple[Path, Path, Path], tmp_path: Path) -> None:
    photo = shutil.copy(scene[0], tmp_path / "photo.tif")
    words = job_runs.command(Path(photo), tmp_path / "o", scene[1], *OPTIONS, "--no-crf")
    assert job_runs.kill_after(3.5, words)
    job_runs.write_photo(Path(photo), 1280, 1280, nodata_rows=3)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "differs from ingest on" in done.stderr


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A job for a clean mask and its polygons, and the results of an undisturbed run."""
    folder = tmp_path_factory.mktemp("drawn")
    values = {
        "source": str(job_runs.write_photo(folder / "photo.tif", 256, 320, nodata_rows=20)),
        "model": str(job_runs.write_network(folder / "m.safetensors", "linear", width=1)),
        "tiling": {"tile_px": 64, "patch_px": 64, "overlap_px": 0},
        "compute": {"kind": "inline"},
        "crf": None,
        "cleanup": {"sieve_px": 30},
        "vectors": {"format": "gpkg", "simplify_m": 0.5},
    }
    segment(make_job({**values, "to": str(folder / "whole")}))
    return values, folder / "whole"


@pytest.mark.parametrize("stage", ["components", "sieve", "vectorise"])
def test_killed_while_cleaning_up_and_drawing(
    drawn: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    values, whole = drawn
    job, file = {**values, "to": str(tmp_path / "o")}, tmp_path / "job.json"
    file.write_text(json.dumps(job))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = [sys.executable, "-m", "tests.helpers.crashing", stage, "run", "--job", str(file)]
    killed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = Counter(Path(name).parent.name for name in job_runs.receipts(tmp_path / "o"))
    result = segment(make_job(job))
    assert result.tiles_done == {name: n - done[name] for name, n in result.tiles.items()}
    assert 0 < result.tiles_done[stage] <= 20
    for name in ("mask.tif", "confidence.tif"):
        assert job_runs.sha(tmp_path / "o" / name) == job_runs.sha(whole / name)
    assert features(tmp_path / "o") == features(whole)


def features(to: Path) -> list[tuple[Any, ...]]:
    """Every polygon with its attributes, in an order of their own."""
    frame = geopandas.read_file(to / "polygons.gpkg")
    rows = frame.drop(columns="geometry").assign(wkb=frame.geometry.to_wkb())
    return sorted(rows.itertuples(index=False, name=None))
