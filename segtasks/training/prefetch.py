"""Things made on a thread before they are asked for, a bounded number of them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


@contextmanager
def prefetch(
    make: Callable[[Key], Item], keys: Iterable[Key], depth: int
) -> Iterator[Iterator[Item]]:
    """``make(key)`` for each key, in order; ``depth`` of them wait at most.

    What ``make`` raises is raised where its result would have come. Nothing more is made after the
    block.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="crops")
    try:
        yield _in_order(pool, make, keys, depth)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, make: Callable[[Key], Item], keys: Iterable[Key], depth: int
) -> Iterator[Item]:
    waiting: deque[Future[Item]] = deque()
    for key in keys:
        waiting.append(pool.submit(make, key))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
