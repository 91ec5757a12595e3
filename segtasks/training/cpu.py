"""Settings of the CPU in training: the number of threads, and units for bfloat16.

The number of threads is part of the settings because it changes the order of sums and thus their
rounding.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from segtasks.config.train_job import TrainJob

logger = logging.getLogger("segtasks")

BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16")
"""Units of x86 CPUs. Without them, oneDNN emulates bfloat16 at half the speed of float32 with
AVX-512, and at a seventh of it with AVX2 (fcn8s_lean, docs/training.md)."""


def with_threads(job: TrainJob) -> TrainJob:
    """Return the job with the number of threads set: torch's number divided by the processes.

    On GPUs it is not set, since the CPU then computes nothing that changes the weights.
    """
    if job.threads or job.device == "cuda":
        return job
    threads = max(1, torch.get_num_threads() // job.processes)
    return job.model_copy(update={"threads": threads})


@contextmanager
def on_threads(count: int | None) -> Iterator[None]:
    """Let torch use ``count`` threads (None: no change) in the block, then the previous number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_emulated(job: TrainJob, capabilities: Mapping[str, object]) -> bool:
    """Return whether bfloat16 is emulated on a CPU with these ``torch.cpu.get_capabilities``."""
    if job.device != "cpu" or job.precision != "bfloat16":
        return False
    is_x86 = capabilities.get("architecture") == "x86_64"
    return is_x86 and not any(capabilities.get(unit) for unit in BFLOAT16_UNITS)


def warn_of_emulation(job: TrainJob) -> None:
    """Log a warning if float32 would be faster; the job's precision is used nevertheless."""
    if is_emulated(job, torch.cpu.get_capabilities()):
        logger.warning(
            "precision bfloat16: this CPU has no units for it, float32 is two to seven times as "
            "fast; give --precision float32, with which the weights will be others"
        )
