"""Several processes that train one network: each processes a part of the batch, rank 0 writes.

This works like `torchrun` on one machine: rank 0 is this process, the others are spawned and end
with it. DistributedDataParallel averages gradients, over NCCL between GPUs and gloo between CPUs.
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

from segtasks.errors import JobError
from segtasks.pipeline import worker_processes

_PATIENCE = timedelta(hours=6)
"""How long a process waits for the others, which may validate on large images."""
_JOIN_SECONDS = 5
"""How long to wait for the error of a failed process."""
Work = Callable[..., Any]


@dataclass(frozen=True)
class Ranks:
    """The rank of this process and the number of processes."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def shared(self, module: nn.Module) -> nn.Module:
        """Wrap ``module`` so that its gradients are averaged over all processes."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, gradient_as_bucket_view=True)

    def align(self, module: nn.Module) -> None:
        """Copy the running statistics of rank 0 to all processes, which have seen other crops."""
        if self.size > 1:
            for buffer in module.buffers():
                distributed.broadcast(buffer, 0)


@contextmanager
def process_group(processes: int, device: str, work: Work, *args: Any) -> Iterator[Ranks]:  # noqa: ANN401 - work's
    """Start the other processes, which call ``work(ranks, *args)`` with pickled arguments.

    Yields:
        The rank of this process, which does the same work in the block.

    Raises:
        JobError: there are fewer GPUs than processes, or one of the others failed.
    """
    if device == "cuda" and torch.cuda.device_count() < processes:
        raise JobError(
            f"{processes} processes need a GPU each, torch sees {torch.cuda.device_count()}; "
            "set `processes` to that number"
        )
    if processes == 1:
        yield Ranks()
        return
    with tempfile.TemporaryDirectory(prefix="segtasks-ranks-") as folder:
        init_url = f"file://{Path(folder).absolute()}/meeting"
        rest = (processes, device, init_url, torch.get_num_threads(), work, args)
        others: ProcessContext = start_processes(  # type: ignore[no-untyped-call]
            _run_other, rest, processes - 1, join=False, start_method=worker_processes.METHOD
        )
        try:
            _init_process_group(0, processes, device, init_url)
            yield Ranks(0, processes)
            while not others.join():
                pass
        except RuntimeError as error:  # the connection breaks when another process fails
            raise _failure(others) or error from None
        finally:
            _end(others)


def _run_other(
    index: int,
    size: int,
    device: str,
    init_url: str,
    threads: int,
    *rest: Any,  # noqa: ANN401 - work's
) -> None:
    work, args = rest
    torch.set_num_threads(threads)
    _init_process_group(index + 1, size, device, init_url)
    try:
        work(Ranks(index + 1, size), *args)
    finally:
        distributed.destroy_process_group()


def _init_process_group(rank: int, size: int, device: str, init_url: str) -> None:
    if device == "cuda":
        torch.cuda.set_device(rank)
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(
        backend, init_method=init_url, rank=rank, world_size=size, timeout=_PATIENCE
    )


def _failure(others: ProcessContext) -> JobError | None:
    """Return the error of another process, if one failed."""
    try:
        others.join(timeout=_JOIN_SECONDS)
    except (ProcessRaisedException, ProcessExitedException) as error:
        reason = str(error).strip().splitlines()[-1]
        return JobError(
            f"process {error.error_index + 1} failed ({reason:.160}); fix the cause and run again"
        )
    return None


def _end(others: ProcessContext) -> None:
    """Leave the process group and end the other processes."""
    with suppress(ValueError, AssertionError):  # the group was never initialised
        distributed.destroy_process_group()
    for process in others.processes:
        if process.is_alive():
            process.terminate()
        process.join()
