"""Tune the CRF: every setting on the same windows, the best of them on windows held out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context

from segtasks.crf import CrfParameters, backends
from segtasks.errors import ResourceError
from segtasks.networks.card import ClassEntry
from segtasks.refinement import PRESETS
from segtasks.tuning.job import TuneJob
from segtasks.tuning.sample import sample, split
from segtasks.tuning.search import (
    longest_halo_px,
    most_settings,
    require_searchable,
    search,
)
from segtasks.tuning.trial import Judge, Measured, Outcome
from segtasks.tuning.windows import LabelledWindow, open_workspaces

WITHOUT = "no CRF"
OnProgress = Callable[[str, int, int], None]
Judging = Callable[[Sequence[LabelledWindow], CrfParameters | None], Measured]


@dataclass(frozen=True)
class Row:
    """A setting and what was measured; ``None``: no CRF, not held out."""

    name: str
    setting: CrfParameters | None
    tuning: Measured
    held_out: Measured | None = None


@dataclass
class Tuning:
    """All that was tried; the first row is without a CRF, then the presets.

    Attributes:
        best: of the rows with a CRF the one with the highest objective on the tuning windows.
    """

    job: TuneJob
    legend: Sequence[ClassEntry]
    backend: str
    tuning: Sequence[LabelledWindow]
    held_out: Sequence[LabelledWindow]
    rows: list[Row] = field(default_factory=list)

    @property
    def best(self) -> Row:
        """The first of equals, so presets win over what was searched."""
        return max(self.rows[1:], key=lambda row: row.tuning.value(self.job.objective))


def tune(job: TuneJob, on_progress: OnProgress = lambda *_: None) -> Tuning:
    """Try the settings of a job.

    Raises:
        JobError: optuna is missing, the grid is too large, or the legend does not suffice.
        WorkspaceError: a workspace does not say what it holds.
        SourceError: no probabilities, other classes, unfit labels, or too few labelled windows.
        CrfError: the backend cannot be loaded, or an array would crash it.
        ResourceError: a process was killed.
    """
    require_searchable(job)
    judge = Judge(backends.resolve(job.backend), job.tolerance_px)
    made = _opened(job, judge, on_progress)
    with _judging(job, judge) as judging:
        _search(made, judging, on_progress)
        _hold_out(made, judging, on_progress)
    return made


def _opened(job: TuneJob, judge: Judge, on_progress: OnProgress) -> Tuning:
    opened, legend = open_workspaces(job)
    places, windows = sample(job, opened), []
    most_px = max(longest_halo_px(job), judge.halo_px(None))
    for done, (index, core) in enumerate(places, start=1):
        windows.append(opened[index].read(core, most_px))
        on_progress("read", done, len(places))
    tuning, held_out = ([windows[i] for i in half] for half in split(len(windows), job.seed))
    return Tuning(job, legend, judge.backend, tuning, held_out)


def _search(made: Tuning, judging: Judging, on_progress: OnProgress) -> None:
    total = most_settings(made.job) + 1

    def measure(name: str, setting: CrfParameters | None) -> float:
        measured = judging(made.tuning, setting)
        made.rows.append(Row(name, setting, measured))
        on_progress("tune", len(made.rows), total)
        return measured.value(made.job.objective)

    measure(WITHOUT, None)
    search(made.job, measure)


def _hold_out(made: Tuning, judging: Judging, on_progress: OnProgress) -> None:
    """Judge on the held-out windows what is fixed beforehand, and the best."""
    fixed = {WITHOUT, *PRESETS, made.best.name}
    chosen = [index for index, row in enumerate(made.rows) if row.name in fixed]
    for done, index in enumerate(chosen, start=1):
        row = made.rows[index]
        made.rows[index] = replace(row, held_out=judging(made.held_out, row.setting))
        on_progress("held out", done, len(chosen))


@contextmanager
def _judging(job: TuneJob, judge: Judge) -> Iterator[Judging]:
    """Judge windows, in several processes where the job wants them."""
    if job.workers == 1:
        yield lambda windows, setting: _measured(
            judge(window, setting) for window in _cropped(windows, judge, setting)
        )
        return
    with ProcessPoolExecutor(job.workers, mp_context=get_context("spawn")) as pool:
        yield partial(_judged_in, pool, judge)


def _judged_in(
    pool: ProcessPoolExecutor,
    judge: Judge,
    windows: Sequence[LabelledWindow],
    setting: CrfParameters | None,
) -> Measured:
    jobs = [pool.submit(judge, window, setting) for window in _cropped(windows, judge, setting)]
    try:
        return _measured(job.result() for job in jobs)
    except BrokenProcessPool:
        raise ResourceError(
            "a process that refined was killed, most likely for its memory: use fewer --workers, "
            "a smaller --window-px or --bi-xy-std"
        ) from None


def _cropped(
    windows: Sequence[LabelledWindow], judge: Judge, setting: CrfParameters | None
) -> Iterator[LabelledWindow]:
    return (window.cropped(judge.halo_px(setting)) for window in windows)


def _measured(outcomes: Iterator[Outcome]) -> Measured:
    judged, seconds = zip(*outcomes, strict=True)
    return Measured(judged, sum(seconds))
