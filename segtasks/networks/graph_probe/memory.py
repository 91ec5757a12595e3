"""Measure the memory of one forward pass of a graph by the peak memory of this process."""

import resource
from math import ceil, log2
from pathlib import Path

import psutil

from segtasks.networks.graph_probe.trial_forward import TrialForward
from segtasks.raster.units import FLOAT_BYTES

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Return the resident memory of this process now, bytes."""
    return int(psutil.Process().memory_info().rss)


def bytes_per_px(trial: TrialForward, side: int, resident: int) -> int:
    """Return the peak bytes per input pixel of one forward pass, scratch memory included.

    Measurements vary a little. They are rounded up to powers of the square root of 2, so that the
    patch size that follows from them does not vary.

    Args:
        trial: the graph; it has run no image larger than ``side``.
        side: side of the image, px.
        resident: `resident_bytes` before the first forward pass.
    """
    smaller_px, smaller = trial.largest_px, _peak_bytes()
    trial.raw_maps(trial.image(side, side))
    pixels, grown = side**2 - smaller_px, _peak_bytes() - smaller
    if pixels <= 0:
        pixels, grown = side**2, _peak_bytes() - resident
    least = FLOAT_BYTES * (len(trial.bands) + trial.classes)
    return round(2 ** (ceil(2 * log2(max(least, grown / pixels))) / 2))


def _peak_bytes() -> int:
    """Return the peak resident memory of this process."""
    if _STATUS.exists():
        words = _STATUS.read_text().split()
        return 1024 * int(words[words.index("VmHWM:") + 1])
    # On other systems than Linux, where this may be the peak of the parent process.
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
