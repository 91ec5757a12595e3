"""Where the time of a run went, from its receipts: per stage, and what limited the speed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segtasks.planning.stages import STAGES
from segtasks.storage.receipts import Receipt

PARTS = ("read", "wait", "compute", "write")
PAUSE_SECONDS = 60.0
"""A longer time without any tile at work separates two runs: one was killed, another resumed."""
BOUNDS = ("read", "network", "CRF", "write")

Reports = Mapping[str, Sequence[Receipt]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """One stage: its tiles, and the seconds of all its workers per part of the work."""

    stage: str
    tiles: int
    workers: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The time of a run in seconds.

    Attributes:
        elapsed: wall time with a tile at work, without pauses between runs.
        runs: number of runs; 1 when nothing interrupted it.
        publishing: wall time of publishing, after the last tile.
        held: wall time that reading, network, CRF and writing would each have taken alone.
    """

    stages: tuple[StageTime, ...]
    elapsed: float
    runs: int
    workers: int
    publishing: float
    held: Mapping[str, float]

    @property
    def total(self) -> float:
        """Wall time of tiles and publishing."""
        return self.elapsed + self.publishing

    @property
    def bound(self) -> str:
        """What limited the speed most."""
        return max(self.held, key=lambda name: self.held[name])


def measure_timings(reports: Reports, publishing_seconds: float) -> Timings:
    """Return the timings of all receipts by stage, in order of the stages."""
    stages = tuple(_stage(name, receipts) for name, receipts in reports.items())
    everything = [receipt for receipts in reports.values() for receipt in receipts]
    elapsed, runs = _elapsed([_span(receipt) for receipt in everything])
    return Timings(
        stages=stages,
        elapsed=elapsed,
        runs=runs,
        workers=len({receipt.worker for receipt in everything}),
        publishing=publishing_seconds,
        held=_held(stages, publishing_seconds),
    )


def _stage(name: str, receipts: Sequence[Receipt]) -> StageTime:
    return StageTime(
        stage=name,
        tiles=len(receipts),
        workers=len({receipt.worker for receipt in receipts}),
        seconds={part: sum(each.seconds.get(part, 0.0) for each in receipts) for part in PARTS},
    )


def _span(receipt: Receipt) -> tuple[float, float]:
    """Return when a tile was at work (epoch); ``began`` is when its computing started."""
    taken = {part: receipt.seconds.get(part, 0.0) for part in PARTS}
    before = taken["read"] + taken["wait"] if "compute" in receipt.seconds else 0.0
    return receipt.began - before, receipt.began - before + sum(taken.values())


def _elapsed(spans: Iterable[tuple[float, float]]) -> tuple[float, int]:
    """Return the seconds of the union of spans with short gaps filled, and the number of runs."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1] + PAUSE_SECONDS:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return sum(stop - start for start, stop in joined), len(joined)


def _is(stage: StageTime, kind: str) -> bool:
    return STAGES[stage.stage].computes == kind


def _held(stages: Sequence[StageTime], publishing: float) -> dict[str, float]:
    """Return seconds per worker, since workers share the tiles of a stage."""

    def each(stage: StageTime, part: str) -> float:
        return stage.seconds[part] / max(stage.workers, 1)

    return {
        "read": sum(each(stage, "read") for stage in stages),
        "network": sum(each(stage, "compute") for stage in stages if _is(stage, "network")),
        "CRF": sum(each(stage, "compute") for stage in stages if _is(stage, "CRF")),
        "write": sum(each(stage, "write") for stage in stages) + publishing,
    }
