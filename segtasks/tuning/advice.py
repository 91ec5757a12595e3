"""Whether to take the CRF: settings against none, on windows that they were not chosen by.

The best of the tuning windows is asked first, then the presets, in the order of the tuning windows:
what was searched fits those windows, and may gain less elsewhere than a preset.
"""

from dataclasses import dataclass

import numpy as np

from segtasks.accuracy.bootstrap import LEAST_BLOCKS, Draws, Interval, interval
from segtasks.training.metrics import Floats
from segtasks.tuning.job import Objective
from segtasks.tuning.trial import Measured, values
from segtasks.tuning.tune import Row, Tuning

FIGURES: dict[Objective, str] = {
    "mean_iou": "mean IoU",
    "boundary_f": "boundary F",
    "both": "mean IoU + boundary F",
}


@dataclass(frozen=True)
class Advice:
    """What the held-out windows say of a setting.

    Attributes:
        gain: of the objective, by the CRF; 0.01 is a point.
        bounds: its 95 % interval; ``None`` with fewer windows than `LEAST_BLOCKS`.
    """

    setting: str
    objective: Objective
    windows: int
    gain: float
    bounds: Interval | None

    @property
    def takes(self) -> bool:
        """Whether the gain is one: its interval lies above 0."""
        return self.bounds is not None and self.bounds[0] > 0

    @property
    def text(self) -> str:
        """One line."""
        figure, where = FIGURES[self.objective], f"{self.windows} held-out windows"
        if self.takes:
            return f"take {self.setting}: {self._gain} points of {figure} on {where}"
        off = "leave the CRF off: no setting gains on held-out windows"
        if self.bounds is None:
            return (
                f"{off} for certain (best {self._gain} points of {figure} on {where}, too few for "
                f"an interval; {LEAST_BLOCKS} are needed: more --windows or a smaller --window-px)"
            )
        return f"{off} (best {self._gain} points of {figure} on {where}, {self.setting})"

    @property
    def _gain(self) -> str:
        spread = f" ({_points(self.bounds[0])} … {_points(self.bounds[1])})" if self.bounds else ""
        return f"{_points(self.gain)}{spread}"


def advise(made: Tuning) -> Advice:
    """Take the first setting that gains; of none the one that seems to gain most is told of."""
    objective = made.job.objective
    held_out = [row for row in made.rows[1:] if row.held_out]
    held_out.sort(key=lambda row: row.tuning.value(objective), reverse=True)
    found = [_advice(row, made.rows[0], objective) for row in held_out]
    return next((each for each in found if each.takes), max(found, key=lambda each: each.gain))


def _advice(row: Row, without: Row, objective: Objective) -> Advice:
    """Hold a setting against none."""
    one, other = row.held_out, without.held_out
    assert one is not None
    assert other is not None
    gain = one.value(objective) - other.value(objective)
    bounds = gain_interval(one, other, objective)
    return Advice(row.name, objective, len(one.windows), gain, bounds)


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


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"
