"""The progress of a stage: how fast it is and how long it will still take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from segtasks.planning.formatting import duration


@dataclass
class ProgressRate:
    """What is told of one stage's tiles; those done before the first news do not count.

    Attributes:
        px: of all tiles together; 0 where that is not known.
        unit: what is counted, one of it.
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
        """Take the news; until a tile is done they say that none has begun before."""
        self.done, self.total, self.px, self.ended = done, total, px, self.clock()
        if done == self.first:
            self.started = self.ended

    @property
    def seconds(self) -> float:
        """From the last news before a tile was done to the last of all."""
        return self.ended - self.started

    @property
    def tiles_per_second(self) -> float:
        """Over all of this run; 0 before the first tile is done."""
        return (self.done - self.first) / self.seconds if self.seconds else 0.0

    def text(self) -> str:
        """Tiles done, and how fast."""
        told, speed = f"{self.done} of {self.total} {self.unit}s", self.speed()
        return f"{told}, {speed}" if speed else told

    def speed(self) -> str:
        """Tiles/s, MPx/s where pixels are known, and the time that is left, or that it took."""
        speed = self.tiles_per_second
        if not speed:
            return ""
        unit = self.unit
        told = f"{speed:.3g} {unit}s/s" if speed >= 1 else f"{1 / speed:.3g} s per {unit}"
        area = f", {speed * self.px / self.total / 1e6:.3g} MPx/s" if self.px else ""
        left = (self.total - self.done) / speed
        end = f"{duration(left)} left" if left else duration(self.seconds)
        return f"{told}{area}, {end}"


class OnProgress(Protocol):
    """A callback for the progress of stages."""

    def __call__(self, stage: str, done: int, total: int, px: int = 0, /) -> None:
        """Take the tiles done, their total, and the pixels of all tiles together."""
