"""Choose the windows of a tuning: spread over the labelled pixels, two thirds held out.

    labelled cores of all rasters in Morton order    0 1 2 3 4 5 6 7 8 9 ...
    N of them, spread by the golden ratio            0   2   4 5   7   9 ...
    blocks of four neighbours in turn                t   t   t t   h   h ...   tuning, held out

Neighbouring windows are similar, so windows are held out in blocks; otherwise the held-out windows
would be next to tuning windows. Every setting is tried on the tuning windows, but only a few on the
held-out ones. More held-out windows therefore cost little, and they narrow the intervals.
"""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from segtasks.config.tuning_job import LEAST_WINDOWS, TuneJob
from segtasks.errors import SourceError
from segtasks.evaluation.crf_tuning.sample_windows import OpenWorkspace, Place

SIDES_PX = (512, 256)
NEIGHBOURS, PARTS = 4, 3
GOLDEN = (sqrt(5) - 1) / 2


def sample(job: TuneJob, opened: Sequence[OpenWorkspace]) -> list[Place]:
    """Choose up to ``job.windows`` labelled cores, in an order in which neighbours are close.

    Raises:
        SourceError: nothing is labelled, or there are too few cores to hold some out.
    """
    found: list[Place] = []
    for side_px in SIDES_PX if job.window_px == "auto" else (job.window_px,):
        found = _labelled(job, opened, side_px)
        if len(found) == job.windows:
            return found
    if not found:
        raise SourceError(
            f"{job.pairs[0].labels}: no pixel with data is labelled, nor in the other pairs if "
            "any; give other labels, or check `ignore`"
        )
    if len(found) < LEAST_WINDOWS:
        raise SourceError(
            f"{job.pairs[0].labels}: {len(found)} window(s) have labels, tuning needs "
            f"{LEAST_WINDOWS}, some of them held out; give a smaller --window-px or more pairs"
        )
    return found


def split(windows: int, seed: int) -> tuple[list[int], list[int]]:
    """Split indices into tuning and held out: of three blocks, one is for tuning, by the seed."""
    run = max(1, min(NEIGHBOURS, windows // (2 * PARTS)))
    parts: tuple[list[int], list[int]] = ([], [])
    for index in range(windows):
        parts[(index // run - seed) % PARTS > 0].append(index)
    return parts


def _labelled(job: TuneJob, opened: Sequence[OpenWorkspace], side_px: int) -> list[Place]:
    places = [Place(each, core) for each in opened for core in each.cores(side_px)]
    chosen: list[int] = []
    for index in _spread(len(places), job.seed):
        if places[index].is_labelled():
            chosen.append(index)
        if len(chosen) == job.windows:
            break
    return [places[index] for index in sorted(chosen)]


def _spread(count: int, seed: int) -> Iterator[int]:
    """Yield 0 … count - 1 in an order of which every beginning is evenly spread."""
    start = np.random.default_rng(seed).random()
    yield from np.argsort((np.arange(count) * GOLDEN + start) % 1).tolist()
