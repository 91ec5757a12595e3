"""Several processes that train one network: each has its share of a batch, the first one writes.

As `torchrun` does it on one machine: rank 0 is this process, the others are started and end with
it. Gradients are shared by DistributedDataParallel, over NCCL between GPUs and gloo between CPUs.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)
from torch.nn.parallel import DistributedDataParallel

from segtasks import worker_processes
from segtasks.errors import JobError

_PATIENCE = timedelta(hours=6)
"""How long a process waits for the others, which may validate on large images."""
_LAST_WORDS_SECONDS = 5
Work = Callable[..., Any]


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def shared(self, module: nn.Module) -> nn.Module:
        """``module`` with gradients that are the mean over all processes."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, gradient_as_bucket_view=True)

    def align(self, module: nn.Module) -> None:
        """Give every process the first one's running statistics, each having seen other crops."""
        if self.size > 1:
            for buffer in module.buffers():
                distributed.broadcast(buffer, 0)


@contextmanager
def joined(processes: int, device: str, work: Work, *args: Any) -> Iterator[Ranks]:  # noqa: ANN401 - work's
    """Start the other processes, which call ``work(ranks, *args)``; what they need is pickled.

    Raises:
        JobError: fewer GPUs than processes, or one of the others failed.
    """
    if device == "cuda" and torch.cuda.device_count() < processes:
        raise JobError(
            f"{processes} processes need a GPU each, torch sees {torch.cuda.device_count()}; "
            "set `processes` to that"
        )
    if processes == 1:
        yield Ranks()
        return
    with tempfile.TemporaryDirectory(prefix="segtasks-ranks-") as folder:
        meeting = f"file://{Path(folder).absolute()}/meeting"
        rest = (processes, device, meeting, torch.get_num_threads(), work, args)
        others: ProcessContext = start_processes(  # type: ignore[no-untyped-call]
            _other, rest, processes - 1, join=False, start_method=worker_processes.METHOD
        )
        try:
            _meet(0, processes, device, meeting)
            yield Ranks(0, processes)
            while not others.join():
                pass
        except RuntimeError as error:  # the others hang up when one of them fails
            raise _failure(others) or error from None
        finally:
            _end(others)


def _other(index: int, size: int, device: str, meeting: str, threads: int, *rest: Any) -> None:  # noqa: ANN401 - work's
    work, args = rest
    torch.set_num_threads(threads)
    _meet(index + 1, size, device, meeting)
    try:
        work(Ranks(index + 1, size), *args)
    finally:
        distributed.destroy_process_group()


def _meet(rank: int, size: int, device: str, meeting: str) -> None:
    if device == "cuda":
        torch.cuda.set_device(rank)
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(
        backend, init_method=meeting, rank=rank, world_size=size, timeout=_PATIENCE
    )


def _failure(others: ProcessContext) -> JobError | None:
    """What another process failed of, if one did."""
    try:
        others.join(timeout=_LAST_WORDS_SECONDS)
    except (ProcessRaisedException, ProcessExitedException) as error:
        said = str(error).strip().splitlines()[-1]
        return JobError(f"process {error.error_index + 1} failed ({said:.160}); mend it, run again")
    return None


def _end(others: ProcessContext) -> None:
    """Leave the group, and nobody behind."""
    with suppress(ValueError, AssertionError):  # it was never entered
        distributed.destroy_process_group()
    for process in others.processes:
        if process.is_alive():
            process.terminate()
        process.join()
