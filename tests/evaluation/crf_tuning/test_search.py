"""The settings that are tried (presets, then a grid or a search), and the windows."""

import sys
from itertools import chain, product
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segtasks.config.loading import validated
from segtasks.config.tuning_job import GRID, LEAST_WINDOWS, RANGES, TuneJob
from segtasks.crf import CrfParameters
from segtasks.errors import JobError
from segtasks.evaluation.crf_tuning.sample import _spread, split
from segtasks.evaluation.crf_tuning.search import (
    count_settings,
    largest_halo_px,
    presets,
    require_searchable,
    search,
)

PAIR = {"workspace": "w", "labels": "l"}


def job(**settings: object) -> TuneJob:
    return validated(TuneJob, {"pairs": [PAIR]} | settings)


def quality(setting: CrfParameters) -> float:
    """Return a value whose maximum, 0, is at bi_w 9 and bi_xy_std 20, which no preset has."""
    return -(log(setting.bi_w / 9) ** 2) - log(setting.bi_xy_std / 20) ** 2


def tried(given_job: TuneJob) -> list[CrfParameters]:
    found: list[CrfParameters] = []

    def measure(_: str, setting: CrfParameters) -> float:
        found.append(setting)
        return quality(setting)

    search(given_job, measure)
    assert len(found) == count_settings(given_job)
    return found


def test_tpe_stays_in_its_ranges_and_beats_the_presets_and_chance() -> None:
    found = tried(job(trials=40))
    assert found[:3] == [setting for _, setting in presets()]
    for setting in found[3:]:
        for name, (low, high) in RANGES.items():
            assert low <= getattr(setting, name) <= high
    best = [max(map(quality, found[start:stop])) for start, stop in ((0, 3), (3, 13), (13, 40))]
    assert best[2] > max(best[:2])
    assert best[2] > -0.1


def test_one_value_is_fixed_and_values_are_short() -> None:
    found = tried(job(trials=8, search={"iterations": 5, "pos_w": 0, "bi_w": [2, 3]}))[3:]
    assert {(setting.iterations, setting.pos_w) for setting in found} == {(5, 0)}
    assert all(setting.bi_w == float(f"{setting.bi_w:.3g}") for setting in found)


def test_a_grid_is_all_values_with_all_others() -> None:
    found = tried(job(method="grid"))
    rows: list[dict[str, Any]] = [
        dict(zip(GRID, row, strict=True)) for row in product(*GRID.values())
    ]
    expected = {CrfParameters(**row) for row in rows}
    assert set(found) == expected | {setting for _, setting in presets()}
    assert len(found) == len(set(found)) == 29  # aerial is in both


def test_a_grid_larger_than_trials_is_refused() -> None:
    with pytest.raises(JobError, match=r"has 29 settings .*trials is 20: raise --trials to 29"):
        require_searchable(job(method="grid", trials=20))
    many = {"bi_w": [*range(1, 101)], "pos_w": [*range(1, 1001)], "bi_xy_std": 9, "bi_rgb_std": 9}
    with pytest.raises(JobError, match="the grid has 100000 settings, trials is 30: give fewer"):
        require_searchable(job(method="grid", search=many))


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(JobError, match=r"needs optuna .*pip install 'segtasks\[tune\]'"):
        require_searchable(job())
    require_searchable(job(method="grid"))


def test_the_longest_halo_is_that_of_the_widest_setting() -> None:
    assert largest_halo_px(job()) == max(p.halo_px() for _, p in presets())
    assert largest_halo_px(job(search={"bi_xy_std": [10, 200], "iterations": 5})) == 800


@given(st.integers(LEAST_WINDOWS, 300), st.integers(0, 9))
def test_a_third_of_the_blocks_is_to_tune_on(windows: int, seed: int) -> None:
    tuning, held_out = split(windows, seed)
    assert sorted(tuning + held_out) == list(range(windows))
    run = max(1, min(4, windows // 6))
    assert abs(len(tuning) - windows / 3) <= run
    # Three splits, in which each window is to tune on once.
    parts = [split(windows, seed + shift)[0] for shift in range(3)]
    assert sorted(chain.from_iterable(parts)) == list(range(windows))
    blocks = np.split(np.array(tuning), np.flatnonzero(np.diff(tuning) > 1) + 1)
    assert {len(block) for block in blocks[:-1]} <= {run}


@given(st.integers(8, 2000), st.integers(1, 400), st.integers(0, 99))
@example(count=1625, first=80, seed=0)
def test_every_beginning_is_spread_evenly(count: int, first: int, seed: int) -> None:
    order = list(_spread(count, seed))
    assert sorted(order) == list(range(count))
    chosen = np.sort(order[: min(first, count)])
    # Three gaps at most (Steinhaus), the longest near the mean by the golden ratio.
    assert len(set(np.diff(chosen).tolist())) <= 3
    gaps = np.diff([-1, *chosen, count])
    assert gaps.max() <= 3 * count / len(chosen) + 1
