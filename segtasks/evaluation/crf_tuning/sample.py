"""Which windows a setting is judged on: spread over the labelled pixels, two thirds held out.

    labelled cores of all rasters in Morton order    0 1 2 3 4 5 6 7 8 9 ...
    every golden-ratio'th of them, N in all          0   2   4 5   7   9 ...
    blocks of four neighbours in turn                t   t   t t   h   h ...   tuning, held out

Neighbours are alike, so windows are held out in blocks: else the held-out ones would be known from
those beside them. Every setting is tried on the tuning windows, a few on those held out: more of
them cost little, and make intervals that say something.
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
    """Up to ``job.windows`` labelled cores, near ones near in the list.

    Raises:
        SourceError: too few to hold some out, or nothing is labelled.
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
    """Indices for tuning and held out: one block of neighbours of three, which one by the seed."""
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
    """0 … count - 1 in an order whose every beginning is spread evenly."""
    start = np.random.default_rng(seed).random()
    yield from np.argsort((np.arange(count) * GOLDEN + start) % 1).tolist()
