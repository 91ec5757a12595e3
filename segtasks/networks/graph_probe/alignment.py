"""Measure the lattice of a graph, the px whose multiples patches must start on, by shifting input.

    image   .xxxxxxxx        a shift on the lattice: the same maps, shifted
    shifted s.xxxxxxx.       a shift off the lattice: other maps everywhere

The middle of the image is compared, far from its borders. Differences there at a shift on the
lattice come from borders and global operators. They grow with the shift, so the smallest shift with
a small difference is the lattice.
"""

import torch
from torch import Tensor

from segtasks.networks.card import Gives
from segtasks.networks.graph_probe.trial_forward import TrialForward

LARGEST_PX = 64
_WINDOW_PX = 64
_ROUNDING = 1e-4
_NEAR = 1.5
_UNCLEAR = 0.05
"""In standard deviations; off their lattice the networks of segtasks differ by 0.07 to 1.4."""


def lattice_px(trial: TrialForward, gives: Gives, *, side: int, stride: int) -> int:
    """Return the smallest shift of the input that shifts the maps and changes nothing else.

    Args:
        trial: the graph.
        gives: what its maps hold.
        side: side of the image, px.
        stride: output stride, px; the lattice is a multiple of it.

    Returns:
        ``stride`` times a power of two, up to 64 px. The largest of these if the middle of the
        image depends too much on its borders to decide.
    """
    shifts = [stride]
    while shifts[-1] * 2 <= min(LARGEST_PX, side // 2):
        shifts.append(shifts[-1] * 2)
    image = trial.image(side + shifts[-1], side + shifts[-1])
    whole = trial.logits(image[:, :, :side, :side], gives)
    differences = []
    for shift in shifts:
        end = side + shift
        moved = trial.logits(image[:, :, shift:end, shift:end], gives)
        differences.append(_difference(whole, moved, shift))
    least = min(differences)
    if least > _UNCLEAR:
        return shifts[-1]
    bound = max(_ROUNDING, _NEAR * least)
    return next(s for s, found in zip(shifts, differences, strict=True) if found <= bound)


def _difference(whole: Tensor, moved: Tensor, shift: int) -> float:
    """Return the root mean square difference in the middle, in standard deviations of the maps."""
    side = whole.shape[2]
    window = max(1, min(_WINDOW_PX, side // 4))
    start = max(0, (side - window - shift) // 2)
    expected, found = _cut(whole, start + shift, window), _cut(moved, start, window)
    spread = float(expected.std()) or 1.0
    return float((found - expected).square().mean().sqrt()) / spread


def _cut(maps: Tensor, start: int, window: int) -> Tensor:
    return maps[:, :, start : start + window, start : start + window].to(torch.float64)
