"""Progress on a terminal: a bar per stage; plain lines where nobody watches."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from segtasks.training.loop import Progress as TrainingProgress

OnProgress = Callable[[str, int, int], None]
LINE_SECONDS = 10.0


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """A callback (stage, done, total) that shows what it is told, on standard error."""
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.progress import (  # noqa: PLC0415 - pipes need no bars
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        yield _Bars(progress).tell


class _Bars:
    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def tell(self, stage: str, done: int, total: int) -> None:
        """Move the stage's bar, which appears with its first news."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)


class _Lines:
    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def tell(self, stage: str, done: int, total: int) -> None:
        """A line every ten seconds per stage, and one at its end."""
        now = time.monotonic()
        if done == total or now - self._last.setdefault(stage, now) >= LINE_SECONDS:
            self._last[stage] = now
            sys.stderr.write(f"{stage} {done}/{total}\n")
            sys.stderr.flush()


@contextmanager
def shown_training() -> Iterator[Callable[["TrainingProgress"], None]]:
    """A callback that writes a line per validation, on standard error."""
    started = time.monotonic()

    def tell(progress: "TrainingProgress") -> None:
        if progress.scores is None:
            return
        spent = time.monotonic() - started
        left = spent * (progress.iterations / progress.iteration - 1)
        sys.stderr.write(
            f"iteration {progress.iteration}/{progress.iterations}  loss {progress.loss:.4f}  "
            f"mIoU {progress.scores.mean_iou:.4f}  {left:.0f} s left\n"
        )
        sys.stderr.flush()

    yield tell
