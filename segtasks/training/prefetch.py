"""Compute items ahead on a thread, a bounded number of them."""

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
    """Yield an iterator over ``make(key)`` for each key in order, computed ahead on a thread.

    An error of ``make`` is raised where its result would have come. After the block, nothing more
    is computed.

    Args:
        make: computes an item.
        keys: its arguments.
        depth: largest number of items that are computed ahead.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="crops")
    try:
        yield _in_order(pool, make, keys, depth)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, make: Callable[[Key], Item], keys: Iterable[Key], depth: int
) -> Iterator[Item]:
    pending: deque[Future[Item]] = deque()
    for key in keys:
        pending.append(pool.submit(make, key))
        if len(pending) > depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
