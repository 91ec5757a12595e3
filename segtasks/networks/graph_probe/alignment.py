"""On which multiples of pixels a graph's patches must start, by shifting its input.

    image   .xxxxxxxx        on the lattice: the same maps, shifted
    shifted s.xxxxxxx.       off it: other maps, wherever one looks

The middle is compared, far from borders. What differs there on the lattice is their influence and
that of global operators, which grows with the shift: the lattice itself is the least of all.
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
"""Of a standard deviation: off their lattice the networks of the line differ by 0.07 to 1.4."""


def lattice_px(trial: TrialForward, gives: Gives, *, side: int, stride: int) -> int:
    """The least shift that shifts the maps and changes nothing else.

    Args:
        trial: the graph.
        gives: what its maps are.
        side: of the image.
        stride: of its outputs; the lattice is a multiple of it.

    Returns:
        ``stride`` times a power of two, up to 64 px; the largest of them when the middle of an
        image depends so much on its borders that nothing can be told.
    """
    shifts = [stride]
    while shifts[-1] * 2 <= min(LARGEST_PX, side // 2):
        shifts.append(shifts[-1] * 2)
    image = trial.image(side + shifts[-1], side + shifts[-1])
    whole = trial.evidence(image[:, :, :side, :side], gives)
    differences = []
    for shift in shifts:
        end = side + shift
        moved = trial.evidence(image[:, :, shift:end, shift:end], gives)
        differences.append(_difference(whole, moved, shift))
    least = min(differences)
    if least > _UNCLEAR:
        return shifts[-1]
    bound = max(_ROUNDING, _NEAR * least)
    return next(s for s, found in zip(shifts, differences, strict=True) if found <= bound)


def _difference(whole: Tensor, moved: Tensor, shift: int) -> float:
    """Root mean square of what differs in the middle, in standard deviations of the maps."""
    side = whole.shape[2]
    window = max(1, min(_WINDOW_PX, side // 4))
    start = max(0, (side - window - shift) // 2)
    expected, found = _cut(whole, start + shift, window), _cut(moved, start, window)
    spread = float(expected.std()) or 1.0
    return float((found - expected).square().mean().sqrt()) / spread


def _cut(maps: Tensor, start: int, window: int) -> Tensor:
    return maps[:, :, start : start + window, start : start + window].to(torch.float64)
