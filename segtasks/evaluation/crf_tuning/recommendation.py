"""Whether to take the CRF: settings against none, on windows that they were not chosen by.

The best of the tuning windows is asked first, then the presets, in the order of the tuning windows:
what was searched fits those windows, and may gain less elsewhere than a preset.
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
    """What a figure gains by the CRF; 0.01 is a point.

    Attributes:
        bounds: its 95 % interval; ``None`` with fewer windows than `LEAST_BLOCKS`.
    """

    value: float
    bounds: Interval | None

    @property
    def is_one(self) -> bool:
        """Whether its interval lies above 0."""
        return self.bounds is not None and self.bounds[0] > 0

    def __str__(self) -> str:
        points = f"{100 * self.value:+.1f}"
        if self.bounds is None:
            return points
        low, high = (f"{100 * bound:+.1f}" for bound in self.bounds)
        return f"{points} ({low} … {high})"


@dataclass(frozen=True)
class Recommendation:
    """What the held-out windows say of a setting: to take it, or that none is to be taken.

    Attributes:
        windows: held out.
        gains: of the objective, and of what it is made of or leaves aside.
    """

    setting: str
    objective: Objective
    windows: int
    gains: Mapping[Objective, Gain]

    @property
    def gain(self) -> Gain:
        """Of the objective."""
        return self.gains[self.objective]

    @property
    def takes(self) -> bool:
        """Whether to take the setting."""
        return self.gain.is_one

    @property
    def text(self) -> str:
        """One line."""
        found = ", ".join(f"{FIGURES[key]} {gain}" for key, gain in self.gains.items())
        told = f"{self.setting}: points of {found} on {self.windows} held-out windows"
        if self.takes:
            return f"take {told}"
        figure = FIGURES[self.objective]
        why = f"no setting gains {figure} beyond chance (best {told}{self._few})"
        return f"leave the CRF off: {why}{self._aside}"

    @property
    def _few(self) -> str:
        if self.gain.bounds:
            return ""
        return f"; {LEAST_BLOCKS} are needed for an interval: more --windows, less --window-px"

    @property
    def _aside(self) -> str:
        """Which other figure does gain."""
        gaining = [key for key, gain in self.gains.items() if gain.is_one]
        return f"; for {FIGURES[gaining[0]]} give --objective {gaining[0]}" if gaining else ""


def recommend(made: Tuning) -> Recommendation:
    """Take the first setting that gains; of none the one that seems to gain most is told of."""
    objective = made.job.objective
    rows = [row for row in made.rows[1:] if row.held_out]
    rows.sort(key=lambda row: row.tuning.value(objective), reverse=True)
    gains = [_gain(row, made.rows[0], objective) for row in rows]
    first = next((i for i, gain in enumerate(gains) if gain.is_one), None)
    told = max(range(len(rows)), key=lambda i: gains[i].value) if first is None else first
    aside: list[Objective] = [key for key in ("mean_iou", "boundary_f") if key != objective]
    others = {key: _gain(rows[told], made.rows[0], key) for key in aside}
    found = {objective: gains[told], **others}
    return Recommendation(rows[told].name, objective, len(made.held_out), found)


def _gain(row: Row, without: Row, objective: Objective) -> Gain:
    """Hold a setting against none."""
    one, other = row.held_out, without.held_out
    assert one is not None
    assert other is not None
    gain = one.value(objective) - other.value(objective)
    return Gain(gain, gain_interval(one, other, objective))


def gain_interval(one: Measured, other: Measured, objective: Objective) -> Interval | None:
    """The 95 % interval of what ``one`` gains over ``other``, whole windows drawn for both alike.

    ``None`` with too few windows with a labelled pixel.
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
