"""The progress of a stage: how fast it is and how long it will still take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from segtasks.planning.formatting import duration


@dataclass
class ProgressRate:
    """The rate at which a stage does its tiles; those done before the first update do not count.

    Attributes:
        total: number of tiles.
        first: tiles done before the first update.
        clock: gives the time in seconds.
        unit: name of what is counted, in the singular.
        px: pixels of all tiles together; 0: not known.
        done: tiles done so far.
        started: time of the last update before a tile was done.
        ended: time of the last update.
    """

    total: int
    first: int
    clock: Callable[[], float] = time.monotonic
    unit: str = "tile"
    px: int = 0
    done: int = 0
    started: float = field(init=False)
    ended: float = field(init=False)

    def __post_init__(self) -> None:
        self.done = self.first
        self.started = self.ended = self.clock()

    def tell(self, done: int, total: int, px: int = 0) -> None:
        """Take an update; the rate counts from the last one before a tile was done."""
        self.done, self.total, self.px, self.ended = done, total, px, self.clock()
        if done == self.first:
            self.started = self.ended

    @property
    def seconds(self) -> float:
        """Seconds from the last update before a tile was done to the last update."""
        return self.ended - self.started

    @property
    def tiles_per_second(self) -> float:
        """Tiles per second of this run; 0 before the first tile is done."""
        return (self.done - self.first) / self.seconds if self.seconds else 0.0

    def text(self) -> str:
        """Return the tiles done and the rate as text."""
        count, speed = f"{self.done} of {self.total} {self.unit}s", self.speed()
        return f"{count}, {speed}" if speed else count

    def speed(self) -> str:
        """Return tiles/s, MPx/s if pixels are known, and the time left or taken, as text."""
        speed = self.tiles_per_second
        if not speed:
            return ""
        unit = self.unit
        rate = f"{speed:.3g} {unit}s/s" if speed >= 1 else f"{1 / speed:.3g} s per {unit}"
        area = f", {speed * self.px / self.total / 1e6:.3g} MPx/s" if self.px else ""
        left = (self.total - self.done) / speed
        end = f"{duration(left)} left" if left else duration(self.seconds)
        return f"{rate}{area}, {end}"


class OnProgress(Protocol):
    """A callback for the progress of stages."""

    def __call__(self, stage: str, done: int, total: int, px: int = 0, /) -> None:
        """Take the tiles done, their total, and the pixels of all tiles together."""
