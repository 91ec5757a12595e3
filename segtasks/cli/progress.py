"""Progress on a terminal: a bar per stage; plain lines where nobody watches."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segtasks.pipeline.progress_rate import OnProgress, ProgressRate

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from segtasks.training.loop import Progress as TrainingProgress

LINE_SECONDS = 10.0


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """A callback (stage, done, total, pixels) that shows what it is told, on standard error.

    A terminal gets a bar for each stage, with its speed and the time that is left; a pipe a line
    every ten seconds and at the end.
    """
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich.console import Console  # noqa: PLC0415 - pipes need no bars
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    names, speeds = TextColumn("{task.description:<10}"), TextColumn("{task.fields[speed]}")
    columns = (names, BarColumn(), MofNCompleteColumn(), speeds)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress).tell


class _Paces:
    """The pace of each stage, which begins with its first news."""

    def __init__(self) -> None:
        self._paces: dict[str, ProgressRate] = {}

    def speed(self, stage: str, done: int, total: int, px: int) -> str:
        """How fast a stage is, with these news."""
        pace = self._paces.setdefault(stage, ProgressRate(total=total, first=done))
        pace.tell(done, total, px)
        return pace.speed()


class _Bars:
    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._paces = _Paces()

    def tell(self, stage: str, done: int, total: int, px: int = 0, /) -> None:
        """Move the stage's bar, which appears with its first news."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, speed="")
        speed = self._paces.speed(stage, done, total, px)
        self._progress.update(self._tasks[stage], completed=done, total=total, speed=speed)


class _Lines:
    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._paces = _Paces()

    def tell(self, stage: str, done: int, total: int, px: int = 0, /) -> None:
        """A line every ten seconds per stage, and one at its end."""
        now, speed = time.monotonic(), self._paces.speed(stage, done, total, px)
        if done == total or now - self._last.setdefault(stage, now) >= LINE_SECONDS:
            self._last[stage] = now
            sys.stderr.write(f"{stage} {done}/{total}  {speed}".rstrip() + "\n")
            sys.stderr.flush()


OnTraining = Callable[["TrainingProgress"], None]
OnLine = Callable[[str], None]
SMOOTH = 0.05
"""What a new loss counts in the one that is shown."""


@contextmanager
def shown_training() -> Iterator[tuple[OnTraining, OnLine]]:
    """Callbacks for iterations and for lines of text, both on standard error.

    A terminal gets a bar with the smoothed loss, the last mIoU, iterations per second and the time
    that is left; a pipe a line every ten seconds and at validations.
    """
    if not sys.stderr.isatty():
        yield _TrainingLines().tell, _say
        return
    from rich.console import Console  # noqa: PLC0415 - pipes need no bars
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        yield _TrainingBar(progress).tell, lambda text: console.print(text, highlight=False)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class TrainingPace:
    """Loss and speed of training, smoothed; whatever was done before it began does not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = 0.0
        self._first = 0
        self._loss = 0.0
        self._mean_iou: float | None = None

    def text(self, progress: "TrainingProgress") -> str:
        """Loss, mIoU, iterations per second; to be called for each iteration."""
        if not self._first:
            self._first, self._loss = progress.iteration, progress.loss
            self._started = self._clock()
        self._loss += SMOOTH * (progress.loss - self._loss)
        if progress.scores:
            self._mean_iou = progress.scores.mean_iou
        found = "" if self._mean_iou is None else f"  mIoU {self._mean_iou:.4f}"
        return f"loss {self._loss:.4f}{found}  {self._speed(progress):.2f} it/s"

    def left(self, progress: "TrainingProgress") -> str:
        """The time to the end at the speed so far, validations included."""
        speed = self._speed(progress)
        return f"{(progress.iterations - progress.iteration) / speed:.0f} s left" if speed else ""

    def _speed(self, progress: "TrainingProgress") -> float:
        """Iterations per second since the first one was told of."""
        seconds = self._clock() - self._started
        return (progress.iteration - self._first) / seconds if seconds else 0.0


class _TrainingBar:
    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._pace = TrainingPace()
        self._task: TaskID | None = None

    def tell(self, progress: "TrainingProgress") -> None:
        """Move the bar, which appears with the first iteration."""
        if self._task is None:
            self._task = self._progress.add_task("", total=progress.iterations)
        text = self._pace.text(progress)
        self._progress.update(self._task, completed=progress.iteration, description=text)


class _TrainingLines:
    def __init__(self) -> None:
        self._pace = TrainingPace()
        self._last = time.monotonic()

    def tell(self, progress: "TrainingProgress") -> None:
        """A line where it is time for one."""
        text = self._pace.text(progress)
        now = time.monotonic()
        if progress.scores or now - self._last >= LINE_SECONDS:
            self._last = now
            left = self._pace.left(progress)
            _say(f"iteration {progress.iteration}/{progress.iterations}  {text}  {left}".rstrip())
