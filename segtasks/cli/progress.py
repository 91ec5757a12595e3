"""Progress on standard error: bars on a terminal, plain lines in a pipe or a file.

    tiles of a stage --> ProgressRate --+
                                        +--> Update --> Bars | Lines
    iterations ------> TrainingRate ----+

Bars and Lines are the two displays; stages and training share them.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from segtasks.pipeline.progress_rate import OnProgress, ProgressRate
from segtasks.planning.formatting import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from segtasks.training.loop import OnLine
    from segtasks.training.loop import OnProgress as OnTraining
    from segtasks.training.loop import Progress as TrainingProgress

LINE_SECONDS = 10.0
LOSS_WEIGHT = 0.05
"""Weight of the newest loss in the moving average that is shown."""


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """Yield a callback (stage, done, total, pixels) that shows the progress of each stage.

    A terminal gets a bar per stage, with the speed and the time left. A pipe gets a line every ten
    seconds and at the end of a stage.
    """
    rates: dict[str, ProgressRate] = {}
    with _display() as display:

        def tell(stage: str, done: int, total: int, px: int = 0, /) -> None:
            rate = rates.setdefault(stage, ProgressRate(total=total, first=done))
            rate.tell(done, total, px)
            display.show(Update(stage, done, total, rate.speed(), is_milestone=done == total))

        yield tell


@contextmanager
def shown_training() -> Iterator[tuple["OnTraining", "OnLine"]]:
    """Yield two callbacks: one shows the progress of training, the other prints a line of text.

    A terminal gets a bar with the smoothed loss, the last mIoU, iterations per second and the time
    left. A pipe gets a line with the same every ten seconds and at each validation.
    """
    rate = TrainingRate()
    with _display() as display:

        def tell(progress: "TrainingProgress") -> None:
            done, total = progress.iteration, progress.iterations
            text = f"{rate.text(progress)}  {rate.left(progress)}".rstrip()
            is_validated = progress.scores is not None
            display.show(Update("iteration", done, total, text, is_milestone=is_validated))

        yield tell, display.write


class TrainingRate:
    """Loss and speed of training; iterations before a resume do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate: ProgressRate | None = None
        self._loss = 0.0
        self._mean_iou: float | None = None

    def text(self, progress: "TrainingProgress") -> str:
        """Return smoothed loss, last mIoU and speed; call it once for each iteration."""
        done, total = progress.iteration, progress.iterations
        if self._rate is None:
            self._rate = ProgressRate(total=total, first=done, clock=self._clock, unit="iteration")
            self._loss = progress.loss
        self._rate.tell(done, total)
        self._loss += LOSS_WEIGHT * (progress.loss - self._loss)
        if progress.scores:
            self._mean_iou = progress.scores.mean_iou
        mean_iou = "" if self._mean_iou is None else f"  mIoU {self._mean_iou:.4f}"
        return f"loss {self._loss:.4f}{mean_iou}  {self._rate.tiles_per_second:.2f} it/s"

    def left(self, progress: "TrainingProgress") -> str:
        """Return the time to the end at the speed so far, which includes validations."""
        speed = self._rate.tiles_per_second if self._rate else 0.0
        remaining = progress.iterations - progress.iteration
        return f"{duration(remaining / speed)} left" if speed else ""


@dataclass(frozen=True, slots=True)
class Update:
    """What is shown of a stage, or of training, at one moment.

    Attributes:
        name: the stage, or what is counted.
        text: speed and other figures.
        is_milestone: whether a pipe gets a line now, not only every ten seconds.
    """

    name: str
    done: int
    total: int
    text: str
    is_milestone: bool


class Display(Protocol):
    """Where progress is shown."""

    def show(self, update: Update) -> None:
        """Show how far a stage is."""

    def write(self, line: str) -> None:
        """Write a line of text."""


@contextmanager
def _display() -> Iterator[Display]:
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console  # noqa: PLC0415 - pipes need no bars
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )
    from rich.table import Column  # noqa: PLC0415 - the same

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),  # in a narrow window the bar shrinks
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress)


class Bars:
    """The display of a terminal: a bar for each name, below the printed lines."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, update: Update) -> None:
        """Move a bar, which appears with its first update."""
        name, total = update.name, update.total
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, text="")
        task = self._tasks[name]
        self._progress.update(task, completed=update.done, total=total, text=update.text)

    def write(self, line: str) -> None:
        """Write a line above the bars."""
        self._progress.console.print(line, highlight=False, markup=False)


class Lines:
    """The display of a pipe: a line for each name every ten seconds, and at milestones."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def show(self, update: Update) -> None:
        """Write the update, if it is a milestone or ten seconds have passed since the last."""
        now = time.monotonic()
        if update.is_milestone or now - self._last.setdefault(update.name, now) >= LINE_SECONDS:
            self._last[update.name] = now
            self.write(f"{update.name} {update.done}/{update.total}  {update.text}".rstrip())

    def write(self, line: str) -> None:
        """Write a line at once."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
