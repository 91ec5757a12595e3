"""Training that was killed at any point and resumed gives the same bytes."""

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rasterio
import torch
import yaml

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, StorageError
from segtasks.training import checkpoint
from segtasks.training.checkpoint import Checkpoint, Step
from segtasks.training.loop import Progress, Result, train

Jobs = Callable[..., TrainJob]
LEAN: dict[str, Any] = {
    "network": "fcn8s_lean",
    "width": 0.06,
    "variant": {"batch_norm": True, "dropout": 0.5},
    "learning_rate": 0.01,
}
STEPS = 6


class Killed(BaseException):
    """Simulates a signal: nothing catches it."""


def stopped(job: TrainJob, after: int) -> None:
    """Train, and fail after an iteration."""

    def tell(progress: Progress) -> None:
        if progress.iteration == after:
            raise Killed

    with pytest.raises(Killed):
        train(job, tell)


def files_of(result: Result) -> list[bytes]:
    return [Path(name).read_bytes() for name in (result.model, result.curves[0])]


@pytest.mark.parametrize("every", [2, 100])
def test_stopped_after_any_iteration_it_ends_as_if_it_had_not(
    jobs: Jobs, tmp_path: Path, every: int
) -> None:
    settings = {"iterations": STEPS, "validate_every": 4, "checkpoint_every": every}
    expected = files_of(train(jobs(**settings, to=str(tmp_path / "whole.safetensors"))))
    for after in range(1, STEPS + 1):
        job = jobs(**settings)
        stopped(job, after)
        assert not Path(job.to).exists()
        lines: list[str] = []
        found = files_of(train(job, on_line=lines.append))
        assert found == expected, after
        kept = max((i for i in range(1, after + 1) if i % every == 0 or i in (4, 6)), default=0)
        assert any(f"after iteration {kept}," in line for line in lines) == (kept > 0)
        assert not Path(job.checkpoint_file).exists()
        Path(job.to).unlink()


def test_momentum_dropout_and_early_stop_survive(jobs: Jobs, tmp_path: Path) -> None:
    settings = {
        **LEAN,
        "optimizer": "sgd",
        "iterations": 40,
        "crop_px": 64,
        "validate_every": 2,
        "patience": 2,
        "loss": "cross_entropy+lovasz",
        "accumulate": 2,
    }
    whole = train(jobs(**settings, to=str(tmp_path / "whole.safetensors")))
    rows = Path(whole.curves[0]).read_text().count("\n") - 1
    assert rows < 40
    job = jobs(**settings)
    stopped(job, rows)  # the last one: it must not go on when it is taken up
    assert files_of(train(job)) == files_of(whole)


def test_kill_9_at_random_moments(jobs: Jobs, tmp_path: Path) -> None:
    settings = {**LEAN, "iterations": 24, "validate_every": 8, "checkpoint_every": 3}
    expected = files_of(train(jobs(**settings, to=str(tmp_path / "whole.safetensors"))))
    job = jobs(**settings)
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(job.model_dump(mode="json")))
    waits = [random.uniform(0, 0.1) for _ in range(2)]  # noqa: S311 - moments, not secrets
    assert [_killed(file, Path(job.checkpoint_file), wait) for wait in waits] == [-9, -9], waits
    assert not Path(job.to).exists()
    subprocess.run(_command(file), env=ONE_THREAD, check=True, capture_output=True)
    found = (job.to, f"{tmp_path}/model.curves.csv")
    assert [Path(name).read_bytes() for name in found] == expected, waits
    assert not [path for path in tmp_path.iterdir() if "checkpoint" in path.name]


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def _command(job_file: Path) -> list[str]:
    return [sys.executable, "-m", "segtasks", "train", "--job", str(job_file)]


def _killed(job_file: Path, kept: Path, wait: float) -> int:
    """Train in a process of its own; kill it some time after it has written a checkpoint."""
    before = _identity(kept)
    with subprocess.Popen(_command(job_file), env=ONE_THREAD, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and _identity(kept) == before:
            time.sleep(0.005)
        time.sleep(wait)
        process.kill()
        return process.wait()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def test_another_jobs_checkpoint_is_left_alone(jobs: Jobs) -> None:
    job = jobs(checkpoint_every=1)
    stopped(job, 2)
    kept = Path(job.checkpoint_file).read_bytes()
    other = job.model_copy(update={"learning_rate": 0.2})
    with pytest.raises(JobError, match=r"learning_rate was 0\.1, is 0\.2\); finish that one, give"):
        train(other)
    assert Path(job.checkpoint_file).read_bytes() == kept
    train(other.model_copy(update={"fresh": True}))
    assert not Path(job.checkpoint_file).exists()


def test_other_labels_are_another_job(jobs: Jobs, scene: Path) -> None:
    job = jobs(checkpoint_every=1)
    stopped(job, 2)
    labels = scene.with_name("scene_label.tif")
    with rasterio.open(labels, "r+") as target:
        classes = target.read(1)
        classes[0, 0] = (classes[0, 0] + 1) % 6
        target.write(classes, 1)
    with pytest.raises(JobError, match=r"class_pixels was .*; finish that one"):
        train(job)


def test_what_weights_do_not_depend_on_may_change(jobs: Jobs) -> None:
    job = jobs(checkpoint_every=1)
    stopped(job, 2)
    lines: list[str] = []
    train(job.model_copy(update={"note": "resumed", "licence": "CC0-1.0"}), on_line=lines.append)
    assert any("after iteration 2" in line for line in lines)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x80\x02cos\nsystem\n."])
def test_what_is_no_checkpoint_is_refused(jobs: Jobs, content: bytes) -> None:
    job = jobs()
    Path(job.checkpoint_file).write_bytes(content)
    with pytest.raises(JobError, match=r"not a checkpoint .*remove it, or give --fresh"):
        train(job)
    assert Path(job.checkpoint_file).read_bytes() == content


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Simulate a full disk: every write beyond this size fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 100_000])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, size_bytes: int) -> None:
    path, identity = tmp_path / "m.checkpoint", {"job": 1}
    checkpoint.write(path, Checkpoint(identity, iteration=1, weights={"w": torch.ones(100_000)}))
    later = Checkpoint(identity, iteration=2, weights={"w": torch.zeros(100_000)})
    said = r"checkpoint of iteration 2 cannot be written \(.+\); free the disk"
    with files_of_at_most(size_bytes), pytest.raises(StorageError, match=said) as caught:
        checkpoint.write(path, later)
    assert "\n" not in str(caught.value)
    kept = checkpoint.read(path, identity)
    assert kept is not None
    assert kept.iteration == 1
    assert bool((kept.weights["w"] == 1).all())
    assert [each.name for each in tmp_path.iterdir()] == ["m.checkpoint"]


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "m.checkpoint"
    state = Checkpoint({"job": {"a": [1, None]}}, iteration=3, weights={"w": torch.arange(3.0)})
    state.curve = [Step(1, 0.1, 1e-3, None), Step(2, float("nan"), 1e-3, 0.5)]
    checkpoint.write(path, state)
    kept = checkpoint.read(path, state.identity)
    assert kept is not None
    assert repr(kept) == repr(state)
