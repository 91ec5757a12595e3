"""The number of CPU threads changes rounding, so it must be set by the job, not the machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError
from segtasks.training.cpu import with_threads
from segtasks.training.loop import Progress, train

Jobs = Callable[..., TrainJob]
LEAN: dict[str, Any] = {
    "network": "fcn8s_lean",
    "width": 0.06,
    "variant": {"batch_norm": True},
    "crop_px": 64,
}


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Let torch use this number of threads as if on such a machine, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trained(job: TrainJob, machine: int) -> bytes:
    with cores(machine):
        result = train(job)
        assert torch.get_num_threads() == machine
    content = Path(result.model).read_bytes()
    Path(result.model).unlink()
    return content


def test_a_job_gives_the_same_weights_on_few_cores_and_many(jobs: Jobs) -> None:
    job = jobs(**LEAN, threads=1)
    assert trained(job, 1) == trained(job, 2)


def test_without_a_number_the_machine_decides(jobs: Jobs) -> None:
    assert trained(jobs(**LEAN), 2) == trained(jobs(**LEAN, threads=2), 1)
    assert trained(jobs(**LEAN), 2) != trained(jobs(**LEAN), 1)


def test_processes_share_the_cores(jobs: Jobs) -> None:
    with cores(8):
        assert [with_threads(jobs(processes=count)).threads for count in (1, 2, 12)] == [8, 4, 1]
        assert with_threads(jobs(processes=4, threads=3)).threads == 3
        assert with_threads(jobs(device="cuda")).threads is None


def test_a_checkpoint_of_another_number_of_threads_is_refused(jobs: Jobs) -> None:
    def fail(_: Progress) -> None:
        raise KeyboardInterrupt

    with cores(2), pytest.raises(KeyboardInterrupt):
        train(jobs(checkpoint_every=1), fail)
    with pytest.raises(JobError, match=r"threads was 2, is 1\); finish that one, give --fresh"):
        train(jobs(checkpoint_every=1))
