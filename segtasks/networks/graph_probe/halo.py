"""Measure the effective halo of a graph: by its gradients or, without them, by changing input."""

import torch

from segtasks.networks.analysis.receptive_field import effective_halo_px
from segtasks.networks.card import Gives
from segtasks.networks.graph_probe.trial_forward import TrialForward, as_logits
from segtasks.networks.inference.graph_net import sized, two_classes

_SHARE = 0.01
_PAIRS = 4
_CHANGE = 0.1
"""Weight of the other noise in a changed image."""
_BLOCK_PX = 8


def graph_halo_px(trial: TrialForward, gives: Gives, *, side: int, unit: int) -> int:
    """Return the half-width that holds 99 % of the influence on a label in the middle of noise, px.

    Args:
        trial: the graph.
        gives: what its maps hold.
        side: side of the image, px.
        unit: resolution of the result where there are no gradients, px.
    """
    if trial.session.has_gradients:
        try:
            return _by_gradient(trial, gives, side)
        except RuntimeError:
            pass  # inlined constants, operators without a derivative
    return _by_change(trial, gives, side, unit)


def _by_gradient(trial: TrialForward, gives: Gives, side: int) -> int:
    """Return the half-width of 99 % of the squared gradient of the centre's largest logit."""

    def logits(x: torch.Tensor) -> torch.Tensor:
        maps = sized(two_classes(trial.session(x).float(), gives), x)
        return as_logits(maps, gives)

    return effective_halo_px(logits, trial.image(side, side))


def _by_change(trial: TrialForward, gives: Gives, side: int, unit: int) -> int:
    """Return the half-width beyond which changed input causes 1 % of the total squared change.

    For a small change, the squared change is the squared gradient summed over the changed pixels.
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
    """An image of noise, and the same image mixed with a little other noise."""

    def __init__(self, trial: TrialForward, gives: Gives, side: int, seed: int) -> None:
        self._trial, self._gives = trial, gives
        self._image = trial.image(side, side, seed=seed)
        other = trial.image(side, side, seed=_PAIRS + seed)
        self._changed = torch.lerp(self._image, other, _CHANGE)
        self._block_px = max(1, min(_BLOCK_PX, side // 8))
        self._first = (side - self._block_px) // 2
        self._before = self._middle(self._image)

    def change(self, kept_px: int) -> float:
        """Return the squared change of the middle when only pixels beyond ``kept_px`` change."""
        image = self._changed.clone()
        if kept_px:
            kept = slice(self._first - kept_px, self._first + self._block_px + kept_px)
            image[:, :, kept, kept] = self._image[:, :, kept, kept]
        return float((self._middle(image) - self._before).square().sum())

    def _middle(self, image: torch.Tensor) -> torch.Tensor:
        block = slice(self._first, self._first + self._block_px)
        return self._trial.logits(image, self._gives)[:, :, block, block].double()
