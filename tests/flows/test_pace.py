"""The pace of a stage, by a clock of our own."""

import pytest

from flows.pace import Pace, duration


def pace_at(seconds: float, *, first: int, done: int, total: int) -> Pace:
    clock = iter([100.0, 100.0 + seconds])
    pace = Pace(total=total, first=first, clock=lambda: next(clock))
    pace.tell(done)
    return pace


@pytest.mark.parametrize(
    ("seconds", "first", "done", "text"),
    [
        (0, 0, 0, "0 of 40 tiles"),
        (10, 0, 0, "0 of 40 tiles"),
        (10, 0, 20, "20 of 40 tiles, 2 tiles/s, 10 s left"),
        (10, 10, 15, "15 of 40 tiles, 2 s per tile, 50 s left"),  # 10 were done in another run
        (600, 0, 10, "10 of 40 tiles, 60 s per tile, 30 min left"),
        (20, 0, 40, "40 of 40 tiles, 2 tiles/s"),
        (5, 40, 40, "40 of 40 tiles"),
    ],
)
def test_pace_and_time_left(seconds: float, first: int, done: int, text: str) -> None:
    assert pace_at(seconds, first=first, done=done, total=40).text() == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (12_000, "3 h 20 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
