"""glibc's malloc, told to keep what a network frees: 1.5 to 2 times the speed of a forward.

Each layer's output is a fresh block of 16-64 MB, which glibc maps, the kernel zeroes and glibc
unmaps again: a third of the time. One arena, no mmap and no trimming avoid it. All three matter:
a thread's own arena cannot hold blocks over 64 MB, and Dask's default environment trims at 64 kB.
"""

import ctypes
import platform

KEEP_BYTES = 2**31 - 1

ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(KEEP_BYTES),
}
"""The same for a process yet to start."""


def tune() -> bool:
    """Tune this process, before it starts threads; False where malloc is not glibc's."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # malloc.h
    return bool(mallopt(mmap_max, 0) & mallopt(trim_threshold, KEEP_BYTES) & mallopt(arena_max, 1))
