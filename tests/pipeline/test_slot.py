"""The slot: one at a time, in a thread whose freed memory stays its own."""

import ctypes
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from segtasks.pipeline import compute_slot


def test_one_at_a_time_in_one_thread() -> None:
    inside, most, names = [0], [0], set()

    def work() -> int:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        names.add(threading.current_thread().name)
        time.sleep(0.01)
        inside[0] -= 1
        return 7

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: compute_slot.compute(work), range(8)))
    assert {each.result for each in done} == {7}
    assert (most[0], len(names)) == (1, 1)
    assert max(each.seconds["wait"] for each in done) > 0.02


def test_an_error_is_raised_where_the_work_was_asked_for() -> None:
    with pytest.raises(ZeroDivisionError, match="by zero"):
        compute_slot.compute(lambda: 1 // 0)


def test_large_blocks_come_from_the_heap_and_are_used_again() -> None:
    """Below the program break: mapped blocks would lie above it, and be unmapped when freed."""
    sbrk = ctypes.CDLL(None).sbrk
    sbrk.restype = ctypes.c_void_p
    blocks = [
        compute_slot.compute(lambda: np.empty(200 * 2**20, np.uint8).ctypes.data).result
        for _ in "ab"
    ]
    assert blocks[0] == blocks[1] < sbrk(0)
