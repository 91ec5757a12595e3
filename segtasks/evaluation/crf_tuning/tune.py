"""Tune the CRF: score every setting on the same windows, and the best ones on held-out windows."""

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
    count_settings,
    largest_halo_px,
    require_searchable,
    search,
)
from segtasks.evaluation.crf_tuning.trial import Measured, Outcome, Scorer
from segtasks.pipeline.worker_processes import WorkerContext

WITHOUT = "no CRF"
OnProgress = Callable[[str, int, int], None]
Request = tuple[LabelledWindow, CrfParameters | None]
ScoreAll = Callable[[Sequence[Request]], list[Outcome]]


@dataclass(frozen=True)
class Row:
    """A setting and its results.

    Attributes:
        name: name of the setting.
        setting: its parameters; ``None`` is no CRF.
        tuning: results on the tuning windows.
        held_out: results on the held-out windows, if it was tested there.
    """

    name: str
    setting: CrfParameters | None
    tuning: Measured
    held_out: Measured | None = None


@dataclass
class Tuning:
    """The results of a tuning.

    Attributes:
        job: the settings.
        legend: the classes by id.
        scorer: refines and counts windows.
        tuning: places of the tuning windows.
        held_out: places of the held-out windows.
        rows: one per setting; the first is without a CRF, then come the presets.
    """

    job: TuneJob
    legend: Sequence[ClassEntry]
    scorer: Scorer
    tuning: Sequence[Place]
    held_out: Sequence[Place]
    rows: list[Row] = field(default_factory=list)

    @property
    def best(self) -> Row:
        """The row with a CRF that has the highest objective on the tuning windows.

        Among equal rows, the first one is taken, so presets come before searched settings.
        """
        return max(self.rows[1:], key=lambda row: row.tuning.value(self.job.objective))


def tune(job: TuneJob, on_progress: OnProgress = lambda *_: None) -> Tuning:
    """Try the settings of a job.

    Raises:
        JobError: optuna is missing, the grid is too large, or the legend is not sufficient.
        WorkspaceError: a workspace has no description of its contents.
        SourceError: there are no probabilities, other classes, labels that do not fit, or too few
            labelled windows.
        CrfError: the backend cannot be loaded, or an array would crash it.
        ResourceError: a process was killed.
    """
    require_searchable(job)
    scorer = Scorer(backends.resolve(job.backend), job.tolerance_px)
    opened, legend = open_workspaces(job)
    places = sample(job, opened)
    tuning, held_out = ([places[i] for i in part] for part in split(len(places), job.seed))
    result = Tuning(job, legend, scorer, tuning, held_out)
    with _scoring(job, scorer) as score_all:
        _search(result, score_all, on_progress)
        _hold_out(result, score_all, on_progress)
    return result


def _search(result: Tuning, score_all: ScoreAll, on_progress: OnProgress) -> None:
    windows, total = _in_memory(result, on_progress), count_settings(result.job) + 1

    def measure(name: str, setting: CrfParameters | None) -> float:
        measured = Measured.of(score_all([(window, setting) for window in windows]))
        result.rows.append(Row(name, setting, measured))
        on_progress("tune", len(result.rows), total)
        return measured.value(result.job.objective)

    measure(WITHOUT, None)
    search(result.job, measure)


def _in_memory(result: Tuning, on_progress: OnProgress) -> list[LabelledWindow]:
    """Read the tuning windows with the largest halo that any setting may need."""
    most_px, windows = max(largest_halo_px(result.job), result.scorer.halo_px(None)), []
    for place in result.tuning:
        windows.append(place.read(most_px))
        on_progress("read", len(windows), len(result.tuning))
    return windows


def _hold_out(result: Tuning, score_all: ScoreAll, on_progress: OnProgress) -> None:
    """Score no CRF, the presets and the best setting on the held-out windows; read each once."""
    fixed = {WITHOUT, *PRESETS, result.best.name}
    chosen = [index for index, row in enumerate(result.rows) if row.name in fixed]
    settings = [result.rows[index].setting for index in chosen]
    most_px, outcomes = max(map(result.scorer.halo_px, settings)), []
    for place in result.held_out:
        window = place.read(most_px)
        outcomes.append(score_all([(window, setting) for setting in settings]))
        on_progress("held out", len(outcomes), len(result.held_out))
    for index, of_row in zip(chosen, zip(*outcomes, strict=True), strict=True):
        result.rows[index] = replace(result.rows[index], held_out=Measured.of(of_row))


@contextmanager
def _scoring(job: TuneJob, scorer: Scorer) -> Iterator[ScoreAll]:
    """Yield a function that scores windows, in several processes if the job asks for them."""
    if job.workers == 1:
        yield lambda requests: [scorer(scorer.cropped(*each), each[1]) for each in requests]
        return
    with ProcessPoolExecutor(job.workers, mp_context=WorkerContext()) as pool:
        yield partial(_score_in_processes, pool, scorer)


def _score_in_processes(
    pool: ProcessPoolExecutor, scorer: Scorer, requests: Sequence[Request]
) -> list[Outcome]:
    jobs = [pool.submit(scorer, scorer.cropped(*each), each[1]) for each in requests]
    try:
        return [job.result() for job in jobs]
    except BrokenProcessPool:
        raise ResourceError(
            "a process that ran the CRF was killed, most likely for lack of memory: use fewer "
            "--workers, a smaller --window-px or --bi-xy-std"
        ) from None
