"""Try settings: the presets first, then those of a grid or of a Bayesian search.

tpe is optuna's tree-structured Parzen estimator of Bergstra et al. 2011 ("Algorithms for
hyper-parameter optimization"). It starts with the results of the presets in its ranges.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from segtasks.config.crf import PRESETS
from segtasks.config.tuning_job import TuneJob
from segtasks.crf import CrfParameters
from segtasks.crf import preset as preset_of
from segtasks.errors import JobError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DIGITS = 3
"""Significant digits of the settings that are tried; a fourth would have no effect."""

Named = tuple[str, CrfParameters]
Measure = Callable[[str, CrfParameters], float]
"""Measures a named setting and returns the value to maximise."""


def presets() -> list[Named]:
    """Return the names and parameters of all presets."""
    return [(name, preset_of(name)) for name in PRESETS]


def require_searchable(job: TuneJob) -> None:
    """Check before work starts that the search can be done.

    Raises:
        JobError: optuna is missing, or a grid has more settings than trials.
    """
    if job.method == "tpe":
        _optuna()
    elif (size := len(presets()) + len(_grid(job))) > job.trials:
        values = ", ".join(f"{len(v)} of {k}" for k, v in job.search.values("grid").items())
        raise JobError(
            f"the grid has {size} settings with the presets ({values}), trials is {job.trials}: "
            f"raise --trials to {size} or give fewer values"
        )


def count_settings(job: TuneJob) -> int:
    """Return the number of settings that are tried."""
    return job.trials if job.method == "tpe" else len(presets()) + len(_grid(job))


def largest_halo_px(job: TuneJob) -> int:
    """Return the largest halo that any setting may have."""
    values = {key: max(each) for key, each in job.search.values(job.method).items()}
    # Terms with weight 0 have no reach, so the largest weights are those that matter.
    return max(s.halo_px() for s in (_parameters(values), *(p for _, p in presets())))


def search(job: TuneJob, measure: Measure) -> None:
    """Measure the presets, then the settings of the search method."""
    values = [(setting, measure(name, setting)) for name, setting in presets()]
    if job.method == "grid":
        for number, setting in enumerate(_grid(job), start=1):
            measure(f"grid {number}", setting)
    else:
        _tpe(job, values, measure)


def _grid(job: TuneJob) -> list[CrfParameters]:
    values = job.search.values("grid")
    known = [setting for _, setting in presets()]
    size = prod(map(len, values.values()))
    if size > 10 * job.trials:  # too many to list
        raise JobError(
            f"the grid has {size} settings, trials is {job.trials}: give fewer values of each"
        )
    settings = [
        _parameters(dict(zip(values, row, strict=True))) for row in product(*values.values())
    ]
    return [setting for setting in dict.fromkeys(settings) if setting not in known]


def _tpe(job: TuneJob, known: Sequence[tuple[CrfParameters, float]], measure: Measure) -> None:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=job.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    ranges, ends = _distributions(job), job.search.values("tpe")
    for setting, value in known:
        given = {name: getattr(setting, name) for name in ranges}
        if all(min(ends[name]) <= number <= max(ends[name]) for name, number in given.items()):
            trial = optuna.trial.create_trial(params=given, distributions=ranges, value=value)
            study.add_trial(trial)
    for number in range(1, job.trials - len(known) + 1):
        trial = study.ask(ranges)
        study.tell(trial, measure(f"tpe {number}", _parameters(trial.params)))


def _distributions(job: TuneJob) -> "dict[str, BaseDistribution]":
    from optuna.distributions import FloatDistribution, IntDistribution  # noqa: PLC0415 - slow

    ranges: dict[str, BaseDistribution] = {}
    for name, values in job.search.values("tpe").items():
        low, high = min(values), max(values)
        if name == "iterations":
            ranges[name] = IntDistribution(int(low), int(high))
        else:
            # Logarithmic if the range starts above 0: from 1 to 2 is as far as from 10 to 20.
            ranges[name] = FloatDistribution(low, high, log=low > 0)
    return ranges


def _parameters(values: Mapping[str, float]) -> CrfParameters:
    rounded: dict[str, Any] = {
        name: int(value) if name == "iterations" else float(f"{value:.{DIGITS}g}")
        for name, value in values.items()
    }
    return CrfParameters(**rounded)


def _optuna() -> Any:  # noqa: ANN401 - a module
    try:
        import optuna  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise JobError(
            f"method tpe needs optuna ({error}): pip install 'segtasks[tune]', or give "
            "--method grid"
        ) from None
    return optuna
