"""Invariant 8: killed anywhere, a rerun does what is missing; the mask has the same bytes."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import job_runs
import psutil
import pytest

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
        "was begun with another source, model or settings (differs from refine on)"
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
