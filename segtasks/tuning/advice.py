"""Whether to take the CRF: the best setting against none, on windows that it was not chosen by."""

from dataclasses import dataclass

import numpy as np

from segtasks.accuracy.bootstrap import LEAST_BLOCKS, Draws, Interval, interval
from segtasks.training.metrics import Floats
from segtasks.tuning.job import Objective
from segtasks.tuning.trial import Measured, values
from segtasks.tuning.tune import Tuning

FIGURES: dict[Objective, str] = {
    "mean_iou": "mean IoU",
    "boundary_f": "boundary F",
    "both": "mean IoU + boundary F",
}


@dataclass(frozen=True)
class Advice:
    """What the held-out windows say of the best setting.

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
    """Hold the best setting against none."""
    without, best = made.rows[0].held_out, made.best
    assert without is not None
    assert best.held_out is not None
    objective = made.job.objective
    gain = best.held_out.value(objective) - without.value(objective)
    bounds = gain_interval(best.held_out, without, objective)
    return Advice(best.name, objective, len(without.windows), gain, bounds)


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
