"""Training in several processes gives the weights of one process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError
from segtasks.networks.model_file import load
from segtasks.training.distributed import Ranks, process_group
from segtasks.training.loop import Progress, train

Jobs = Callable[..., TrainJob]


@pytest.mark.slow  # starting a process that imports torch: 10 s on a slow core
def test_two_processes_give_the_weights_of_one(jobs: Jobs, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "network": "fcn8s_lean",
        "width": 0.06,
        "variant": {"batch_norm": False, "dropout": 0.0},
        "optimizer": "sgd",
        "batch": 4,
        "accumulate": 2,
        "iterations": 3,
        "validate_every": 2,
    }
    found = []
    for processes in (1, 2):
        out = str(tmp_path / f"of_{processes}.safetensors")
        result = train(jobs(**settings, processes=processes, to=out))
        found.append((load(result.model)[0].state_dict(), Path(result.curves[0]).read_text()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-6)
    losses = [[float(row.split(",")[1]) for row in rows.split()[1:]] for _, rows in found]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def _fail(ranks: Ranks) -> None:
    raise ValueError(f"rank {ranks.rank} is out of sorts")


@pytest.mark.slow  # the same
def test_a_process_that_fails_ends_them_all_in_one_line() -> None:
    said = r"process 1 failed \(ValueError: rank 1 is out of sorts\); fix the cause and run again"
    with pytest.raises(JobError, match=said), process_group(2, "cpu", _fail) as ranks:
        ranks.sum(torch.ones(1))


def test_one_process_needs_no_others() -> None:
    with process_group(1, "cpu", _fail) as ranks:
        assert ranks.is_first
        assert ranks.sum(torch.ones(1)) == 1
        module = torch.nn.Linear(1, 1)
        assert ranks.shared(module) is module


def test_more_processes_than_gpus_are_refused() -> None:
    wanted = torch.cuda.device_count() + 1
    with (
        pytest.raises(JobError, match=rf"{wanted} processes need a GPU each, torch sees"),
        process_group(wanted, "cuda", _fail),
    ):
        pass


def test_half_precision_is_for_gpus(jobs: Jobs) -> None:
    with pytest.raises(ValidationError, match="float16 needs device cuda; use bfloat16"):
        jobs(precision="float16")


class Killed(BaseException):
    """Simulates a signal: nothing catches it."""


@pytest.mark.slow  # the same
def test_two_processes_resume_exactly(jobs: Jobs, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "network": "fcn8s_lean",
        "width": 0.06,
        "variant": {"batch_norm": True, "dropout": 0.5},
        "batch": 4,
        "crop_px": 64,
        "iterations": 5,
        "checkpoint_every": 2,
        "processes": 2,
    }
    whole = train(jobs(**settings, to=str(tmp_path / "whole.safetensors")))
    job = jobs(**settings)

    def tell(progress: Progress) -> None:
        if progress.iteration == 3:
            raise Killed

    with pytest.raises(Killed):
        train(job, tell)
    assert Path(job.checkpoint_file).exists()
    assert Path(train(job).model).read_bytes() == Path(whole.model).read_bytes()
