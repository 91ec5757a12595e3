"""How fast a stage is, and when it will be done at that pace."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MINUTE, HOUR = 60, 3600


@dataclass
class Pace:
    """What is told of one stage's tiles; those done before the first news do not count."""

    total: int
    first: int
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    started: float = field(init=False)
    ended: float = field(init=False)

    def __post_init__(self) -> None:
        self.done = self.first
        self.started = self.ended = self.clock()

    def tell(self, done: int) -> None:
        """Take the news."""
        self.done, self.ended = done, self.clock()

    @property
    def seconds(self) -> float:
        """From the first news to the last."""
        return self.ended - self.started

    @property
    def tiles_per_second(self) -> float:
        """Over all of this run; 0 before the first tile is done."""
        return (self.done - self.first) / self.seconds if self.seconds else 0.0

    def text(self) -> str:
        """Tiles done, tiles per second, time left."""
        told = f"{self.done} of {self.total} tiles"
        speed = self.tiles_per_second
        if not speed:
            return told
        told += f", {speed:.3g} tiles/s" if speed >= 1 else f", {1 / speed:.3g} s per tile"
        left = (self.total - self.done) / speed
        return told + (f", {duration(left)} left" if left else "")


def duration(seconds: float) -> str:
    """``seconds`` as one reads a clock: 40 s, 12 min, 3 h 20 min."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR / MINUTE:.0f} min"
