"""The run time of a plan, estimated from a few timed tiles, with its interval.

    stage      seconds per px (timed tiles)  x  px of all its tiles   = process-seconds
    pool       processes that share stages: computing on one thread of each, storage on another
    together   start-up + the busiest pool + the last tiles, when some processes wait + writing

The estimate of a stage is the ratio estimator of survey sampling (Cochran, Sampling Techniques,
1977, ch. 6) with the tile as unit, with Student's interval at 90 %. Two bounds are added that no
sampling narrows: storage may be hidden behind computing or not, and at the end up to all but one
of the processes may wait for one last chain of tiles (Graham, SIAM J. Appl. Math. 17, 1969).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from segtasks.planning.plan import Stage
from segtasks.raster.units import HOUR

Z90 = 1.6448536269514722
"""Normal quantile of a two-sided 90 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A timed tile: the pixels it computed, and seconds of computing and of storage."""

    work_px: float
    compute_seconds: float
    storage_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What was measured.

    Attributes:
        tiles: the timed tiles of each stage.
        pools: name and number of the processes that do each stage.
        startup_seconds: time to the first forward: plan, workers, model.
        write_seconds: time to write the results of the whole raster.
    """

    tiles: Mapping[Stage, Sequence[Timed]]
    pools: Mapping[Stage, tuple[str, int]]
    startup_seconds: float
    write_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The whole work of a stage: pixels and tiles."""

    px: float
    tiles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Estimated wall time in seconds, with a 90 % interval.

    Attributes:
        stages: process-seconds of each stage.
        processes: number of processes of the largest pool.
        timed_tiles: number of timed tiles of each stage.
    """

    seconds: float
    low: float
    high: float
    startup_seconds: float
    write_seconds: float
    stages: dict[str, float]
    processes: int
    timed_tiles: dict[str, int]

    def price(self, per_hour: float) -> dict[str, float]:
        """Return the price and its interval if everything that computes costs ``per_hour``."""
        hours = {"price": self.seconds, "price_low": self.low, "price_high": self.high}
        return {key: per_hour * seconds / HOUR for key, seconds in hours.items()}


@dataclass(frozen=True, slots=True)
class _Total:
    """Process-seconds of a stage and the standard error of their sum."""

    compute: float
    storage: float
    error: float

    @property
    def seconds(self) -> float:
        return self.compute + self.storage


def estimate_runtime(work: Mapping[Stage, Work], timing: Timing) -> Estimate:
    """Return the time that ``work``, by stage, takes.

    Raises:
        KeyError: a stage was not timed.
    """
    totals = {stage: _total(timing.tiles[stage], each.px) for stage, each in work.items()}
    busy_low, busy_high = _busy(totals, work, timing)
    last = _last_tiles(totals, work, timing)
    spread = _spread(totals, timing)
    around = timing.startup_seconds + timing.write_seconds
    return Estimate(
        seconds=around + (busy_low + busy_high + last) / 2,
        low=around + max(0.0, busy_low - spread),
        high=around + busy_high + last + spread,
        startup_seconds=timing.startup_seconds,
        write_seconds=timing.write_seconds,
        stages={stage: total.seconds for stage, total in totals.items()},
        processes=max(count for _, count in timing.pools.values()),
        timed_tiles={stage: len(timing.tiles[stage]) for stage in work},
    )


def student(degrees: int) -> float:
    """Return the quantile of Student's t for a two-sided 90 % interval.

    The expansion is 26.7.5 of Abramowitz & Stegun. It is 0.6 % too low for 2 degrees of freedom,
    and exact for 1.
    """
    if degrees == 1:
        return 6.313751514675043
    z, n = Z90, degrees
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / n**power for power, term in enumerate(terms, start=1)))


def _total(tiles: Sequence[Timed], px: float) -> _Total:
    """Return the seconds per pixel of the timed tiles, times all pixels."""
    timed_px = sum(tile.work_px for tile in tiles)
    if not timed_px or not px:
        return _Total(0.0, 0.0, 0.0)
    compute = sum(tile.compute_seconds for tile in tiles) / timed_px
    storage = sum(tile.storage_seconds for tile in tiles) / timed_px
    return _Total(compute * px, storage * px, px / timed_px * _error(tiles, compute + storage))


def _error(tiles: Sequence[Timed], rate: float) -> float:
    """Return the standard error of the sum of the timed tiles around their common rate."""
    count = len(tiles)
    if count == 1:
        return (tiles[0].compute_seconds + tiles[0].storage_seconds) / 2
    off = (t.compute_seconds + t.storage_seconds - rate * t.work_px for t in tiles)
    return sqrt(count * sum(each**2 for each in off) / (count - 1))


def _busy(
    totals: Mapping[Stage, _Total], work: Mapping[Stage, Work], timing: Timing
) -> tuple[float, float]:
    """Return the seconds of the busiest pool, storage hidden behind computing or not."""
    low, high = [0.0], [0.0]
    for pool, processes in set(timing.pools.values()):
        stages = [stage for stage in work if timing.pools[stage][0] == pool]
        compute = sum(totals[stage].compute for stage in stages)
        both = sum(totals[stage].seconds for stage in stages)
        at_once = min(processes, max((work[stage].tiles for stage in stages), default=1) or 1)
        low.append(max(compute, both / 2) / at_once)
        high.append(both / at_once)
    return max(low), max(high)


def _last_tiles(
    totals: Mapping[Stage, _Total], work: Mapping[Stage, Work], timing: Timing
) -> float:
    """Return Graham's bound: one tile of each stage while the other processes wait."""
    processes = max(count for _, count in timing.pools.values())
    chain = sum(totals[stage].seconds / max(1, each.tiles) for stage, each in work.items())
    return (1 - 1 / processes) * chain


def _spread(totals: Mapping[Stage, _Total], timing: Timing) -> float:
    """Return half of the interval that sampling alone gives."""
    degrees = max(1, min(len(tiles) for tiles in timing.tiles.values()) - 1)
    errors = [total.error / timing.pools[stage][1] for stage, total in totals.items()]
    return student(degrees) * sqrt(sum(error**2 for error in errors))
