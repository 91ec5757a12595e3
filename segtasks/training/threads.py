"""How many CPU threads torch computes with: sums come out in another order with another number."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segtasks.training.job import TrainJob


def with_threads(job: TrainJob) -> TrainJob:
    """The job with the number it leaves open: what torch has, shared by the processes.

    On GPUs it stays open, since nothing that is learnt is computed on the CPU.
    """
    if job.threads or job.device == "cuda":
        return job
    threads = max(1, torch.get_num_threads() // job.processes)
    return job.model_copy(update={"threads": threads})


@contextmanager
def on_threads(count: int | None) -> Iterator[None]:
    """Compute with ``count`` threads (none: as it is), then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
