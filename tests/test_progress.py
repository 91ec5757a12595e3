"""What a terminal is told of training."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from segtasks.progress import Pace, shown_training


def at(iteration: int, loss: float, mean_iou: float | None = None) -> Any:  # noqa: ANN401 - like Progress
    scores = None if mean_iou is None else SimpleNamespace(mean_iou=mean_iou)
    return SimpleNamespace(iteration=iteration, iterations=100, loss=loss, scores=scores)


def test_loss_is_smoothed_speed_and_time_left_are_right_after_a_resume() -> None:
    clock = iter([10.0, 10.0, 15.0, 15.0])
    pace = Pace(lambda: next(clock))
    assert pace.text(at(41, 1.0)) == "loss 1.0000  0.00 it/s"  # taken up at 40
    text = pace.text(at(51, 3.0, 0.625))
    assert text == "loss 1.1000  mIoU 0.6250  2.00 it/s"  # 1 + 0.05 x 2; ten in five seconds
    assert pace.left(at(51, 3.0)) == "24 s left"  # 49 at 2 a second


def test_a_pipe_gets_a_line_per_validation(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_training() as (on_progress, on_line):
        on_line("recipe     scratch")
        for iteration in range(1, 6):
            on_progress(at(iteration, 2.0, 0.5 if iteration == 5 else None))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "recipe     scratch"
    pattern = r"iteration 5/100  loss 2\.0000  mIoU 0\.5000  [\d.]+ it/s  \d+ s left"
    assert re.fullmatch(pattern, second)
