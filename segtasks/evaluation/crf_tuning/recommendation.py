"""Decide whether to recommend a CRF setting, by its gain on windows that were held out.

The setting with the best result on the tuning windows is tested first, then the presets in the
order of their results there. A setting that was searched for fits the tuning windows and may gain
less than a preset elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segtasks.config.tuning_job import Objective
from segtasks.evaluation.bootstrap import LEAST_BLOCKS, Draws, Interval, interval
from segtasks.evaluation.crf_tuning.trial import Measured, values
from segtasks.evaluation.crf_tuning.tune import Row, Tuning
from segtasks.evaluation.metrics import Floats

FIGURES: Mapping[Objective, str] = {
    "mean_iou": "mean IoU",
    "boundary_f": "boundary F",
    "both": "mean IoU + boundary F",
}


@dataclass(frozen=True)
class Gain:
    """The gain of a metric by the CRF.

    Attributes:
        value: the gain; 0.01 is one point.
        bounds: its 95 % interval; ``None`` with fewer than `LEAST_BLOCKS` windows.
    """

    value: float
    bounds: Interval | None

    @property
    def is_significant(self) -> bool:
        """Whether the interval lies above 0."""
        return self.bounds is not None and self.bounds[0] > 0

    def __str__(self) -> str:
        points = f"{100 * self.value:+.1f}"
        if self.bounds is None:
            return points
        low, high = (f"{100 * bound:+.1f}" for bound in self.bounds)
        return f"{points} ({low} … {high})"


@dataclass(frozen=True)
class Recommendation:
    """The result of a setting on the held-out windows, and whether to take it.

    Attributes:
        setting: name of the setting.
        objective: the metric that decides.
        windows: number of held-out windows.
        gains: the gain of the objective and of the other metrics.
    """

    setting: str
    objective: Objective
    windows: int
    gains: Mapping[Objective, Gain]

    @property
    def gain(self) -> Gain:
        """The gain of the objective."""
        return self.gains[self.objective]

    @property
    def takes(self) -> bool:
        """Whether to take the setting."""
        return self.gain.is_significant

    @property
    def text(self) -> str:
        """The recommendation in one line."""
        gains = ", ".join(f"{FIGURES[key]} {gain}" for key, gain in self.gains.items())
        summary = f"{self.setting}: points of {gains} on {self.windows} held-out windows"
        if self.takes:
            return f"take {summary}"
        few = ""
        if not self.gain.bounds:
            few = f"; {LEAST_BLOCKS} are needed for an interval: more --windows, less --window-px"
        others = [key for key, gain in self.gains.items() if gain.is_significant]
        other = f"; for {FIGURES[others[0]]} give --objective {others[0]}" if others else ""
        why = f"no setting gains {FIGURES[self.objective]} beyond chance (best {summary}{few})"
        return f"leave the CRF off: {why}{other}"


def recommend(result: Tuning) -> Recommendation:
    """Recommend the first setting with a significant gain, else report the largest gain."""
    objective = result.job.objective
    rows = [row for row in result.rows[1:] if row.held_out]
    rows.sort(key=lambda row: row.tuning.value(objective), reverse=True)
    gains = [_gain(row, result.rows[0], objective) for row in rows]
    first = next((i for i, gain in enumerate(gains) if gain.is_significant), None)
    index = max(range(len(rows)), key=lambda i: gains[i].value) if first is None else first
    others: list[Objective] = [key for key in ("mean_iou", "boundary_f") if key != objective]
    gain_of = {key: _gain(rows[index], result.rows[0], key) for key in others}
    gain_of = {objective: gains[index], **gain_of}
    return Recommendation(rows[index].name, objective, len(result.held_out), gain_of)


def _gain(row: Row, without: Row, objective: Objective) -> Gain:
    """Compare a setting with no CRF on the held-out windows."""
    one, other = row.held_out, without.held_out
    assert one is not None
    assert other is not None
    gain = one.value(objective) - other.value(objective)
    return Gain(gain, gain_interval(one, other, objective))


def gain_interval(one: Measured, other: Measured, objective: Objective) -> Interval | None:
    """Return the 95 % interval of the gain of ``one`` over ``other``.

    Whole windows are drawn, the same for both. The result is ``None`` if too few windows have a
    labelled pixel.
    """
    known = one.confusions.any(axis=(1, 2))
    if known.sum() < LEAST_BLOCKS:
        return None
    draws = Draws()
    weights = np.stack([draws.next() for _ in range(int(known.sum()))], axis=1)

    def replicates(measured: Measured) -> Floats:
        counts = (measured.confusions[known], measured.boundaries[known])
        confusions, boundaries = (np.tensordot(weights, each, axes=1) for each in counts)
        return values(confusions, boundaries, objective)

    return interval(replicates(one) - replicates(other))
