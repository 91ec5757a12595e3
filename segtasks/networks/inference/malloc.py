"""glibc's malloc, told to keep what a network frees: 1.4 to 2 times the speed of a forward.

Each layer's output is a fresh block of up to hundreds of MB, which glibc maps, the kernel zeroes
and glibc unmaps again: a quarter of the time and more. Instead the blocks are to come from the main
arena, the one without a size limit, which keeps what it once had. Other threads must stay out of
it: their small blocks would lie in the gaps, and the next large one would not fit.
"""

import ctypes
import platform
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

KEEP_BYTES = 2**31 - 1
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # malloc.h
MANY_ARENAS = 256  # a thread of its own for each that comes after
ATTEMPTS = 16
PROBE_BYTES = 4096
HOLE_SIZES = tuple(round(32 * 1.25**step) for step in range(47))  # 32 B to 1 MB
HOLES_BYTES, LEAST_HOLES, MOST_HOLES = 2**20, 8, 2000  # per size


def keep_freed() -> None:
    """Keep what this process frees, for a program whose threads need not be kept apart.

    Training has one thread that makes large blocks; a step takes 5 % less time.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = _libc()
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, KEEP_BYTES)


def keeping_executor() -> Executor:
    """An executor of one thread whose freed memory is kept; a plain one without glibc."""
    if platform.libc_ver()[0] != "glibc":
        return ThreadPoolExecutor(1, "compute")
    libc = _libc()
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, KEEP_BYTES)
    libc.mallopt(ARENA_MAX, 1)
    executor = _in_main_arena(libc)
    libc.mallopt(ARENA_MAX, MANY_ARENAS)
    executor.submit(_make_holes, libc).result()
    return executor


def _make_holes(libc: Any) -> None:  # noqa: ANN401 - ctypes
    """Free blocks of every small size, kept apart by tiny ones that stay.

    What oneDNN keeps of a first forward would else come to lie between the large blocks: 0.3 GB
    that no later one could use in one piece.
    """
    holes = []
    for size in HOLE_SIZES:
        for _ in range(max(LEAST_HOLES, min(MOST_HOLES, HOLES_BYTES // size))):
            holes.append(libc.malloc(size))
            libc.malloc(1)
    for hole in holes:
        libc.free(hole)


def _in_main_arena(libc: Any) -> Executor:  # noqa: ANN401 - ctypes
    """A thread that has the main arena.

    A new thread may be given the arena of one that has ended; such threads are kept, so that the
    next one is not given the same.
    """
    tried = []
    for _ in range(ATTEMPTS):
        executor = ThreadPoolExecutor(1, "compute")
        if executor.submit(_has_main_arena, libc).result():
            break
        tried.append(executor)
    for other in tried:
        other.shutdown()
    return executor


def _has_main_arena(libc: Any) -> bool:  # noqa: ANN401 - ctypes
    """Whether this thread's blocks lie below the program break; other arenas are mapped above."""
    block = libc.malloc(PROBE_BYTES)
    is_below = bool(block < libc.sbrk(0))
    libc.free(block)
    return is_below


def _libc() -> Any:  # noqa: ANN401 - ctypes
    """The C library with the signatures whose defaults, ints, would cut pointers."""
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.sbrk.argtypes, libc.sbrk.restype = [ctypes.c_ssize_t], ctypes.c_void_p
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    return libc
