"""Tune the CRF: every setting on the same windows, the best of them on windows held out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from segtasks.config.crf import PRESETS
from segtasks.config.legend import ClassEntry
from segtasks.config.tuning_job import TuneJob
from segtasks.crf import CrfParameters, backends
from segtasks.errors import ResourceError
from segtasks.evaluation.crf_tuning.sample import sample, split
from segtasks.evaluation.crf_tuning.sample_windows import LabelledWindow, Place, open_workspaces
from segtasks.evaluation.crf_tuning.search import (
    longest_halo_px,
    most_settings,
    require_searchable,
    search,
)
from segtasks.evaluation.crf_tuning.trial import Measured, Outcome, Scorer
from segtasks.worker_processes import WorkerContext

WITHOUT = "no CRF"
OnProgress = Callable[[str, int, int], None]
Asked = tuple[LabelledWindow, CrfParameters | None]
Judging = Callable[[Sequence[Asked]], list[Outcome]]


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
    judge: Scorer
    tuning: Sequence[Place]
    held_out: Sequence[Place]
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
    judge = Scorer(backends.resolve(job.backend), job.tolerance_px)
    opened, legend = open_workspaces(job)
    places = sample(job, opened)
    tuning, held_out = ([places[i] for i in part] for part in split(len(places), job.seed))
    made = Tuning(job, legend, judge, tuning, held_out)
    with _judging(job, judge) as judging:
        _search(made, judging, on_progress)
        _hold_out(made, judging, on_progress)
    return made


def _search(made: Tuning, judging: Judging, on_progress: OnProgress) -> None:
    windows, total = _in_memory(made, on_progress), most_settings(made.job) + 1

    def measure(name: str, setting: CrfParameters | None) -> float:
        measured = Measured.of(judging([(window, setting) for window in windows]))
        made.rows.append(Row(name, setting, measured))
        on_progress("tune", len(made.rows), total)
        return measured.value(made.job.objective)

    measure(WITHOUT, None)
    search(made.job, measure)


def _in_memory(made: Tuning, on_progress: OnProgress) -> list[LabelledWindow]:
    """The tuning windows, with all that any setting may need."""
    most_px, windows = max(longest_halo_px(made.job), made.judge.halo_px(None)), []
    for place in made.tuning:
        windows.append(place.read(most_px))
        on_progress("read", len(windows), len(made.tuning))
    return windows


def _hold_out(made: Tuning, judging: Judging, on_progress: OnProgress) -> None:
    """Judge on the held-out windows what is fixed beforehand, and the best; each is read once."""
    fixed = {WITHOUT, *PRESETS, made.best.name}
    chosen = [index for index, row in enumerate(made.rows) if row.name in fixed]
    settings = [made.rows[index].setting for index in chosen]
    most_px, outcomes = max(map(made.judge.halo_px, settings)), []
    for place in made.held_out:
        window = place.read(most_px)
        outcomes.append(judging([(window, setting) for setting in settings]))
        on_progress("held out", len(outcomes), len(made.held_out))
    for index, of_row in zip(chosen, zip(*outcomes, strict=True), strict=True):
        made.rows[index] = replace(made.rows[index], held_out=Measured.of(of_row))


@contextmanager
def _judging(job: TuneJob, judge: Scorer) -> Iterator[Judging]:
    """Judge windows, in several processes where the job wants them."""
    if job.workers == 1:
        yield lambda asked: [judge(judge.cropped(*each), each[1]) for each in asked]
        return
    with ProcessPoolExecutor(job.workers, mp_context=WorkerContext()) as pool:
        yield partial(_judged_in, pool, judge)


def _judged_in(pool: ProcessPoolExecutor, judge: Scorer, asked: Sequence[Asked]) -> list[Outcome]:
    jobs = [pool.submit(judge, judge.cropped(*each), each[1]) for each in asked]
    try:
        return [job.result() for job in jobs]
    except BrokenProcessPool:
        raise ResourceError(
            "a process that refined was killed, most likely for its memory: use fewer --workers, "
            "a smaller --window-px or --bi-xy-std"
        ) from None
