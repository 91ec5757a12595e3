"""The compute slot of a worker process: one network forward or one CRF at a time.

A worker runs two tiles on two threads. While the slot computes for one, the other reads its window
or writes its result, so that the network never waits for storage. pydensecrf holds the GIL, so a
second CRF in the same process would only wait. The slot is a thread of its own, so that it reuses
the memory that it has freed (`networks.inference.malloc`).
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from segtasks.networks.inference import malloc

T = TypeVar("T")
_lock = Lock()
_threads: list[Executor] = []


@dataclass(frozen=True, slots=True)
class Computed(Generic[T]):
    """A result, when its computing began (epoch), and seconds of waiting and of computing."""

    result: T
    began: float
    seconds: dict[str, float]


def compute(work: Callable[[], T]) -> Computed[T]:
    """Do ``work`` in the slot and return its result; raise what it raises."""
    asked = time.perf_counter()

    def timed() -> Computed[T]:
        began, start = time.time(), time.perf_counter()
        result = work()
        seconds = {"wait": start - asked, "compute": time.perf_counter() - start}
        return Computed(result, began, seconds)

    return _thread().submit(timed).result()


def _thread() -> Executor:
    with _lock:
        if not _threads:
            _threads.append(malloc.keeping_executor())
        return _threads[0]
