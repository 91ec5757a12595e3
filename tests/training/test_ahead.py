"""Reading ahead: items come in order, their number is bounded, and errors are raised."""

import threading
import time

import pytest

from segtasks.training.prefetch import prefetch


def test_results_come_in_order() -> None:
    with prefetch(lambda i: i * i, range(20), 3) as made:
        assert list(made) == [i * i for i in range(20)]


def test_items_are_computed_on_a_thread_before_they_are_needed() -> None:
    threads: list[int] = []

    def make(i: int) -> int:
        threads.append(threading.get_ident())
        return i

    with prefetch(make, range(10), 2) as made:
        next(made)
        deadline = time.monotonic() + 5
        while len(threads) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert len(threads) == 3  # the one taken and two that wait, not ten
    assert set(threads) != {threading.get_ident()}


def test_a_failure_comes_where_its_result_would_have() -> None:
    def make(i: int) -> int:
        if i == 2:
            raise ValueError("two")
        return i

    with prefetch(make, range(5), 2) as made:
        assert [next(made), next(made)] == [0, 1]
        with pytest.raises(ValueError, match="two"):
            next(made)
