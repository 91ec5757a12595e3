"""What a forward of a graph takes in memory, seen from outside: the peak of this process."""

import resource
from math import ceil, log2
from pathlib import Path

import psutil

from segtasks.networks.graph_probe.trial_forward import TrialForward
from segtasks.raster.units import FLOAT_BYTES

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Of this process, now."""
    return int(psutil.Process().memory_info().rss)


def bytes_per_px(trial: TrialForward, side: int, resident: int) -> int:
    """Peak bytes per pixel of one forward, scratch memory included, rounded up.

    It comes out a little different each time; steps of the square root of 2 hide that, so that the
    patches that follow from it are the same.

    Args:
        trial: the graph; nothing larger than ``side`` has been run.
        side: of the image.
        resident: `resident_bytes` before the first forward.
    """
    smaller_px, smaller = trial.largest_px, _peak_bytes()
    trial.raw_maps(trial.image(side, side))
    pixels, grown = side**2 - smaller_px, _peak_bytes() - smaller
    if pixels <= 0:
        pixels, grown = side**2, _peak_bytes() - resident
    least = FLOAT_BYTES * (len(trial.bands) + trial.classes)
    return round(2 ** (ceil(2 * log2(max(least, grown / pixels))) / 2))


def _peak_bytes() -> int:
    """The most that this process has had."""
    if _STATUS.exists():
        words = _STATUS.read_text().split()
        return 1024 * int(words[words.index("VmHWM:") + 1])
    # Elsewhere; there it may be the parent's.
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
