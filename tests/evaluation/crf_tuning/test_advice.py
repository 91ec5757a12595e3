"""When the CRF is recommended and when it is not, on constructed counts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segtasks.config.loading import validated
from segtasks.config.tuning_job import Objective, TuneJob
from segtasks.crf import CrfParameters
from segtasks.evaluation.bootstrap import REPLICATES, SEED
from segtasks.evaluation.counts import MaskCounts
from segtasks.evaluation.crf_tuning.recommendation import (
    Gain,
    Recommendation,
    gain_interval,
    recommend,
)
from segtasks.evaluation.crf_tuning.trial import Measured, Scorer
from segtasks.evaluation.crf_tuning.tune import Row, Tuning
from segtasks.evaluation.metrics import Scores

Counts = NDArray[np.int64]


def measured(confusions: Counts, matched: float = 0.5) -> Measured:
    """Windows of two classes; of 100 boundary pixels of each, this fraction is matched."""
    counts = np.tile([[100], [int(100 * matched)]], (2, 2))
    return Measured([MaskCounts(each, counts) for each in confusions], seconds=0.0)


def windows(right: Counts) -> Counts:
    """Confusion matrices of 1000 px each with these numbers of correct pixels."""
    wrong = (1000 - right) // 2
    return np.stack([[[right // 2, wrong], [wrong, right // 2]]]).squeeze(0).transpose(2, 0, 1)


SHARES = np.random.default_rng(4).integers(300, 400, 20) * 2
WITHOUT = windows(SHARES)


def advice(confusions: Counts, without: Counts = WITHOUT) -> Recommendation:
    one, other = measured(confusions), measured(without)
    gain = Gain(one.mean_iou - other.mean_iou, gain_interval(one, other, "mean_iou"))
    return Recommendation("aerial", "mean_iou", len(without), {"mean_iou": gain})


def test_a_gain_everywhere_is_taken() -> None:
    found = advice(windows(SHARES + 40))
    assert found.takes
    assert found.gain.bounds is not None
    assert 0 < found.gain.bounds[0] < found.gain.value < found.gain.bounds[1]
    assert found.text.startswith("take aerial: points of mean IoU +")
    assert found.text.endswith(") on 20 held-out windows")


def test_a_loss_is_left_off() -> None:
    found = advice(windows(SHARES - 40))
    assert not found.takes
    says = "leave the CRF off: no setting gains mean IoU beyond chance (best aerial: points of"
    assert found.text.startswith(f"{says} mean IoU -")


def test_a_gain_whose_interval_holds_0_is_none() -> None:
    """One window gains much and the others lose a little: the total gain is due to chance."""
    change = np.full(20, -2)
    change[3] = 120
    found = advice(windows(SHARES + change))
    assert found.gain.value > 0
    assert found.gain.bounds is not None
    assert found.gain.bounds[0] < 0 < found.gain.bounds[1]
    assert not found.takes
    assert "leave the CRF off" in found.text


def test_no_change_is_no_gain() -> None:
    found = advice(WITHOUT)
    assert (found.gain, found.takes) == (Gain(0, (0, 0)), False)


def test_a_gain_of_outlines_is_mentioned_where_mean_iou_has_none() -> None:
    gains: dict[Objective, Gain] = {
        "mean_iou": Gain(0.009, (-0.001, 0.02)),
        "boundary_f": Gain(0.098, (0.075, 0.122)),
    }
    found = Recommendation("tpe 1", "mean_iou", 64, gains)
    assert found.text == (
        "leave the CRF off: no setting gains mean IoU beyond chance (best tpe 1: points of mean "
        "IoU +0.9 (-0.1 … +2.0), boundary F +9.8 (+7.5 … +12.2) on 64 held-out windows); for "
        "boundary F give --objective boundary_f"
    )
    assert Recommendation("tpe 1", "boundary_f", 64, gains).text.startswith("take tpe 1: points of")


def test_few_windows_have_no_interval_and_give_no_recommendation() -> None:
    found = advice(windows(SHARES + 100)[:9], WITHOUT[:9])
    assert found.gain.value > 0.05
    assert (found.gain.bounds, found.takes) == (None, False)
    assert "on 9 held-out windows; 10 are needed for an interval" in found.text


def test_windows_without_a_label_are_no_blocks() -> None:
    confusions = windows(SHARES + 40)
    confusions[9:] = 0
    without = WITHOUT.copy()
    without[9:] = 0
    assert gain_interval(measured(confusions), measured(without), "mean_iou") is None


def test_the_interval_is_that_of_replicates_summed_one_by_one() -> None:
    crf = windows(SHARES + 2 * np.random.default_rng(5).integers(-30, 60, 20))
    rng = np.random.default_rng(SEED)
    weights = [rng.poisson(1.0, REPLICATES) for _ in range(20)]
    gains = [
        Scores(sum(w[r] * c for w, c in zip(weights, crf, strict=True))).mean_iou
        - Scores(sum(w[r] * c for w, c in zip(weights, WITHOUT, strict=True))).mean_iou
        for r in range(REPLICATES)
    ]
    found = gain_interval(measured(crf), measured(WITHOUT), "mean_iou")
    assert found == pytest.approx(tuple(np.percentile(gains, [2.5, 97.5])))


def tuning_of(**gains: tuple[int, int]) -> Tuning:
    """Rows with this name and number of pixels gained per tuning and held-out window."""
    job = validated(TuneJob, {"pairs": [{"workspace": "w", "labels": "l"}]})
    made = [Row("no CRF", None, measured(WITHOUT), measured(WITHOUT))]
    for name, gain in gains.items():
        one, two = (measured(windows(SHARES + px)) for px in gain)
        made.append(Row(name, CrfParameters(), one, two))
    return Tuning(job, [], Scorer("auto", 3), [], [], made)


def test_the_best_of_the_tuning_windows_is_tested_first() -> None:
    made = tuning_of(preset=(10, 60), tpe=(40, 40))
    assert made.best.name == "tpe"
    assert recommend(made).setting == "tpe"


def test_a_preset_is_taken_where_the_best_fits_its_own_windows_alone() -> None:
    made = tuning_of(preset=(10, 30), tpe=(90, -30))
    assert made.best.name == "tpe"
    assert (recommend(made).setting, recommend(made).takes) == ("preset", True)


def test_if_all_lose_the_smallest_loss_is_reported() -> None:
    found = recommend(tuning_of(preset=(-10, -20), tpe=(-6, -40)))
    assert (found.setting, found.takes) == ("preset", False)
    assert found.gain.value < 0
    assert set(found.gains) == {"mean_iou", "boundary_f"}


def test_outlines_decide_if_they_are_the_objective() -> None:
    one, other = measured(WITHOUT, matched=0.7), measured(WITHOUT, matched=0.5)
    assert gain_interval(one, other, "boundary_f") == pytest.approx((0.2, 0.2))
    assert gain_interval(one, other, "both") == pytest.approx((0.2, 0.2))
