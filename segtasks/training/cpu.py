"""How many CPU threads torch computes with: sums come out in another order with another number.

Whether a CPU has units for the precision of a job.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from segtasks.config.train_job import TrainJob


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


logger = logging.getLogger("segtasks")

BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16")
"""Of x86. Without them oneDNN makes do with others: half the speed of float32 with AVX-512, a
seventh with AVX2 (fcn8s_lean, docs/training.md)."""


def is_emulated(job: TrainJob, capabilities: Mapping[str, object]) -> bool:
    """Whether bfloat16 is computed by other units, on a CPU of ``torch.cpu.get_capabilities``."""
    if job.device != "cpu" or job.precision != "bfloat16":
        return False
    is_x86 = capabilities.get("architecture") == "x86_64"
    return is_x86 and not any(capabilities.get(unit) for unit in BFLOAT16_UNITS)


def warn_of_emulation(job: TrainJob) -> None:
    """Say so where another precision is faster; a job that names one gets it all the same."""
    if is_emulated(job, torch.cpu.get_capabilities()):
        logger.warning(
            "precision bfloat16: this CPU has no units for it, float32 is two to seven times as "
            "fast; give --precision float32, with which the weights will be others"
        )
