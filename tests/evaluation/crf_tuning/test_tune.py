"""Tuning on a workspace gives the results of running and evaluating, and is reproducible."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.config.loading import validated
from segtasks.crf import CrfParameters, backends, preset
from segtasks.evaluation.counts import MaskCounts
from segtasks.evaluation.crf_tuning.sample_windows import open_workspaces
from segtasks.evaluation.crf_tuning.trial import Scorer
from segtasks.evaluation.crf_tuning.tune import WITHOUT, Row, Tuning, tune
from segtasks.evaluation.scoring import count_pairs
from segtasks.raster.grid import Window
from tests.helpers.kept import HEIGHT, SIDE, WIDTH, Kept


def evaluated(mask: Path, kept: Kept) -> MaskCounts:
    pair = {"mask": str(mask), "labels": str(kept.labels)}
    return count_pairs(validated(EvaluationJob, {"pairs": [pair]})).tally.mask


def total(row: Row) -> NDArray[np.int64]:
    """Return the confusion matrix of tuning and held-out windows together."""
    assert row.held_out is not None
    counts: NDArray[np.int64] = np.concatenate(
        [row.tuning.confusions, row.held_out.confusions]
    ).sum(0)
    return counts


@pytest.fixture(scope="module")
def made(kept: Kept) -> Tuning:
    return tune(kept.job())


@pytest.mark.parametrize("name", ["kraehenbuehl", "deeplab", "aerial"])
def test_a_row_is_what_run_and_evaluate_give(
    kept: Kept, made: Tuning, tmp_path: Path, name: str
) -> None:
    mask = kept.run(tmp_path, crf={"preset": name, "window_px": SIDE})
    row = next(row for row in made.rows if row.name == name)
    np.testing.assert_array_equal(total(row), evaluated(mask, kept).confusion)


def test_the_first_row_is_a_run_without_crf(kept: Kept, made: Tuning, tmp_path: Path) -> None:
    assert (made.rows[0].name, made.rows[0].setting) == (WITHOUT, None)
    # float16 in the workspace: a tie to float32 may fall either way
    found = evaluated(kept.run(tmp_path, crf=None), kept).confusion
    assert np.abs(total(made.rows[0]) - found).sum() <= 4


def as_one_window(kept: Kept, mask: Path, setting: CrfParameters) -> None:
    """Check that the raster as one window has the counts of the mask of a run."""
    opened, _ = open_workspaces(kept.job())
    scorer = Scorer(backends.resolve("auto"), tolerance_px=3)
    whole = opened[0].read(Window(0, 0, HEIGHT, WIDTH), halo_px=100)
    counts, seconds = scorer(scorer.cropped(whole, setting), setting)
    expected = evaluated(mask, kept)
    np.testing.assert_array_equal(counts.confusion, expected.confusion)
    np.testing.assert_array_equal(counts.boundary, expected.boundary)
    assert seconds > 0


def test_outlines_too_where_one_window_is_the_raster(kept: Kept, tmp_path: Path) -> None:
    mask = kept.run(tmp_path, crf={"preset": "aerial", "bi_xy_std": 7})
    as_one_window(kept, mask, replace(preset("aerial"), bi_xy_std=7))


def test_colours_of_16_bits_are_those_of_the_run(kept: Kept, tmp_path: Path) -> None:
    with rasterio.open(kept.image) as dataset:
        image, profile = dataset.read().astype(np.uint16) * 150, dataset.profile
    with rasterio.open(tmp_path / "16.tif", "w", **profile | {"dtype": "uint16"}) as dataset:
        dataset.write(image)
    deep = replace(kept, image=tmp_path / "16.tif", workspace=tmp_path / ".workspace")
    mask = deep.run(tmp_path, stretch=(1000, 30_000), keep_workspace=True)
    as_one_window(deep, mask, preset("aerial"))


def test_presets_come_first_and_every_setting_once(made: Tuning) -> None:
    names = [row.name for row in made.rows]
    fixed = [WITHOUT, "kraehenbuehl", "deeplab", "aerial"]
    assert names == [*fixed, "tpe 1", "tpe 2", "tpe 3"]
    assert len({row.setting for row in made.rows}) == len(made.rows)
    held_out = {row.name for row in made.rows if row.held_out}
    assert held_out == {*fixed, made.best.name}


def test_parts_share_no_pixel_and_cover_the_scene(made: Tuning) -> None:
    covered = np.zeros((HEIGHT, WIDTH), int)
    for place in (*made.tuning, *made.held_out):
        covered[place.core.slices] += 1
    assert (covered == 1).all()
    assert len(made.tuning) == len(made.held_out) == 2


def told(found: Tuning) -> list[Any]:
    measured = [(row.tuning, row.held_out) for row in found.rows]
    counts = [[part and part.confusions.tolist() for part in parts] for parts in measured]
    settings = [(row.name, row.setting) for row in found.rows]
    return [settings, counts]


def test_the_same_seed_gives_the_same_result(kept: Kept, made: Tuning) -> None:
    assert told(tune(kept.job())) == told(made)
    other = tune(kept.job(seed=1))
    assert other.rows[4].setting != made.rows[4].setting
    assert [place.core for place in other.tuning] == [made.held_out[0].core]


def test_processes_give_the_same(kept: Kept, made: Tuning) -> None:
    assert told(tune(kept.job(workers=2))) == told(made)


def test_progress_is_reported_to_the_end(kept: Kept) -> None:
    said: list[tuple[str, int, int]] = []
    tune(kept.job(trials=3), lambda *news: said.append(news))
    assert said[-1][:1] == ("held out",)
    for stage, count in (("read", 2), ("tune", 4), ("held out", 2)):
        assert [news for news in said if news[0] == stage][-1] == (stage, count, count)


def test_an_objective_is_the_highest_of_its_kind(made: Tuning) -> None:
    crf = made.rows[1:]
    assert made.best.tuning.mean_iou == max(row.tuning.mean_iou for row in crf)
    made = replace(made, job=made.job.model_copy(update={"objective": "boundary_f"}))
    assert made.best.tuning.boundary_f == max(row.tuning.boundary_f for row in crf)
    both = replace(made, job=made.job.model_copy(update={"objective": "both"})).best.tuning
    sums = [row.tuning.mean_iou + row.tuning.boundary_f for row in crf]
    assert both.value("both") == pytest.approx(max(sums))
