"""Progress of stages and of training, on a terminal and in a pipe."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from segtasks.cli.progress import TrainingRate, shown_progress, shown_training


def at(iteration: int, loss: float, mean_iou: float | None = None) -> Any:  # noqa: ANN401 - like Progress
    scores = None if mean_iou is None else SimpleNamespace(mean_iou=mean_iou)
    return SimpleNamespace(iteration=iteration, iterations=100, loss=loss, scores=scores)


def test_loss_is_smoothed_speed_and_time_left_are_right_after_a_resume() -> None:
    clock = iter([10.0, 10.0, 15.0, 15.0])
    pace = TrainingRate(lambda: next(clock))
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


def test_a_pipe_gets_a_line_at_the_end_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as on_progress:
        for done in range(4):
            on_progress("predict", done, 3, 3_000_000)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"predict 3/3  [\d.e+]+ tiles/s, [\d.e+]+ MPx/s, 0 s", line)


def test_a_pipe_gets_a_line_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 100, 4))
    monkeypatch.setattr("segtasks.cli.progress.time", SimpleNamespace(monotonic=seconds.__next__))
    with shown_progress() as on_progress:
        for done in range(8):
            on_progress("predict", done, 9)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["3/9", "6/9"]  # at 12 and 24 s


def on_a_terminal(code: str) -> str:
    """Run Python code with a pseudo-terminal as standard error and return what it shows."""
    leader, follower = os.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", code], stderr=follower, env=environment, check=True)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    return shown


def test_a_terminal_gets_a_bar_for_each_stage() -> None:
    shown = on_a_terminal(
        "from segtasks.cli.progress import shown_progress\n"
        "with shown_progress() as tell:\n"
        "    [tell(s, n, 5, 5_000_000) for n in range(6) for s in ('ingest', 'predict')]\n"
    )
    for stage in ("ingest", "predict"):
        assert re.search(rf"{stage}.*5/5.*tiles/s, [\d.e+]+ MPx/s", shown)


def test_a_terminal_gets_a_bar_for_training_below_the_lines() -> None:
    shown = on_a_terminal(
        "from types import SimpleNamespace as S\n"
        "from segtasks.cli.progress import shown_training\n"
        "with shown_training() as (tell, say):\n"
        "    say('classes    [road]')\n"
        "    [tell(S(iteration=n, iterations=5, loss=2, scores=S(mean_iou=0.5))) for n in (1, 5)]\n"
    )
    assert "classes    [road]" in shown
    assert re.search(r"iteration.*5/5.*loss 2\.0000  mIoU 0\.5000  [\d.]+ it/s  0 s left", shown)
