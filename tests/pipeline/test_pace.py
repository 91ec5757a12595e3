"""The pace of a stage, by a clock of our own."""

import pytest

from segtasks.pipeline.progress_rate import ProgressRate
from segtasks.planning.formatting import duration


def pace_at(seconds: float, *, first: int, done: int, total: int, px: int = 0) -> ProgressRate:
    clock = iter([100.0, 100.0 + seconds])
    pace = ProgressRate(total=total, first=first, clock=lambda: next(clock))
    pace.tell(done, total, px)
    return pace


@pytest.mark.parametrize(
    ("seconds", "first", "done", "text"),
    [
        (0, 0, 0, "0 of 40 tiles"),
        (10, 0, 0, "0 of 40 tiles"),
        (10, 0, 20, "20 of 40 tiles, 2 tiles/s, 10 s left"),
        (10, 10, 15, "15 of 40 tiles, 2 s per tile, 50 s left"),  # 10 were done in another run
        (600, 0, 10, "10 of 40 tiles, 60 s per tile, 30 min 0 s left"),
        (20, 0, 40, "40 of 40 tiles, 2 tiles/s, 20 s"),
        (5, 40, 40, "40 of 40 tiles"),
    ],
)
def test_pace_and_time_left(seconds: float, first: int, done: int, text: str) -> None:
    assert pace_at(seconds, first=first, done=done, total=40).text() == text


def test_pixels_are_of_all_tiles() -> None:
    # Eight tiles in four seconds, of half a megapixel each; 62 to go.
    pace = pace_at(4, first=30, done=38, total=100, px=50_000_000)
    assert pace.speed() == "2 tiles/s, 1 MPx/s, 31 s left"


def test_waiting_for_the_stage_before_is_not_counted() -> None:
    pace = ProgressRate(total=4, first=0, clock=iter([0.0, 60.0, 61.0, 64.0]).__next__)
    for done in (0, 1, 2):
        pace.tell(done, 4)
    assert pace.text() == "2 of 4 tiles, 2 s per tile, 4 s left"


def test_more_may_turn_out_to_be_done() -> None:
    pace = ProgressRate(total=4, first=0, clock=iter([0.0, 2.0]).__next__)
    pace.tell(4, 8)
    assert pace.text() == "4 of 8 tiles, 2 tiles/s, 2 s left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7384, "2 h 3 min")],
)
def test_durations_have_two_figures(seconds: float, text: str) -> None:
    assert duration(seconds) == text
