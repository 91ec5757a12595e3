"""How far from a pixel a graph looks to label it, in the sense of `effective_halo_px`."""

import torch

from segtasks.networks.analysis.receptive_field import effective_halo_px
from segtasks.networks.card import Gives
from segtasks.networks.graph_probe.trial_forward import TrialForward, evidence_of
from segtasks.networks.inference.graph_net import sized, two_classes

_SHARE = 0.01
_PAIRS = 4
_SLIGHT = 0.1
_BLOCK_PX = 8


def graph_halo_px(trial: TrialForward, gives: Gives, *, side: int, unit: int) -> int:
    """Half-width that holds 99 % of what decides a label in the middle of noise.

    Args:
        trial: the graph.
        gives: what its maps are.
        side: of the image.
        unit: precision where there are no gradients.
    """
    if trial.engine.has_gradients:
        try:
            return _by_gradient(trial, gives, side)
        except RuntimeError:
            pass  # inlined constants, operators without a derivative
    return _by_change(trial, gives, side, unit)


def _by_gradient(trial: TrialForward, gives: Gives, side: int) -> int:
    """Half-width of 99 % of the squared gradient of the centre's largest logit."""

    def evidence(x: torch.Tensor) -> torch.Tensor:
        maps = sized(two_classes(trial.engine(x).float(), gives), x)
        return evidence_of(maps, gives)

    return effective_halo_px(evidence, trial.image(side, side))


def _by_change(trial: TrialForward, gives: Gives, side: int, unit: int) -> int:
    """Half-width beyond which other noise makes 1 % of the squared change that it makes in all.

    Of a slight change that is the squared gradient, summed over what was changed.
    """
    pairs = [_Pair(trial, gives, side, seed) for seed in range(_PAIRS)]
    total = sum(pair.change(0) for pair in pairs)
    low, high = 0, side // 2 // unit
    while low < high:
        middle = (low + high) // 2
        if sum(pair.change(middle * unit) for pair in pairs) <= _SHARE * total:
            high = middle
        else:
            low = middle + 1
    return high * unit


class _Pair:
    """Noise, and the same with a little of another."""

    def __init__(self, trial: TrialForward, gives: Gives, side: int, seed: int) -> None:
        self._trial, self._gives = trial, gives
        self._image = trial.image(side, side, seed=seed)
        other = trial.image(side, side, seed=_PAIRS + seed)
        self._changed = torch.lerp(self._image, other, _SLIGHT)
        self._block_px = max(1, min(_BLOCK_PX, side // 8))
        self._first = (side - self._block_px) // 2
        self._before = self._middle(self._image)

    def change(self, kept_px: int) -> float:
        """Squared change of a block in the middle when only what is beyond ``kept_px`` changes."""
        image = self._changed.clone()
        if kept_px:
            kept = slice(self._first - kept_px, self._first + self._block_px + kept_px)
            image[:, :, kept, kept] = self._image[:, :, kept, kept]
        return float((self._middle(image) - self._before).square().sum())

    def _middle(self, image: torch.Tensor) -> torch.Tensor:
        block = slice(self._first, self._first + self._block_px)
        return self._trial.evidence(image, self._gives)[:, :, block, block].double()
