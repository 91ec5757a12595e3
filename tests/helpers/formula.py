"""Compute weights by a formula, so that golden vectors need no file: facts/networks.md A.1.

The formula depends on the keys, so that the names are tested too.
"""

import math
from collections.abc import Callable
from zlib import crc32

import pytest
import torch
from torch import Tensor


def uniform(key: str, shape: tuple[int, ...]) -> Tensor:
    """u_i = frac(43758.5453 sin(12.9898 i + 78.233 (crc32(key) mod 1000))), i = 1...n."""
    i = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    s = i.mul_(12.9898).add_(78.233 * (crc32(key.encode()) % 1000)).sin_().mul_(43758.5453)
    return s.sub_(s.floor()).reshape(shape)


def formula_weight(key: str, shape: tuple[int, ...], gain: float = 24) -> Tensor:
    """Return the tensor of ``key`` in the layout of the named repository, float32."""
    r = uniform(key, shape).sub_(0.5)
    if len(shape) == 4:
        r.mul_(math.sqrt(gain / (shape[1] * shape[2] * shape[3])))
    elif key.endswith("running_var"):
        r.mul_(0.5).add_(1)
    elif key.endswith(".weight"):
        r.mul_(0.2).add_(1)
    else:
        r.mul_(0.1)
    return r.float()


def formula_state(
    shapes: dict[str, tuple[int, ...]], gain: Callable[[str], float] = lambda _: 24
) -> dict[str, Tensor]:
    """Return a whole state dict by the keys and shapes of the named repository."""
    return {key: formula_weight(key, shape, gain(key)) for key, shape in shapes.items()}


def formula_input(height: int, width: int) -> Tensor:
    """Return an input (1, 3, H, W) in -1...1, float64."""
    return 2 * uniform("input", (1, 3, height, width)) - 1


def check_golden(y: Tensor, figures: list[float], histogram: dict[int, int]) -> None:
    """Check mean, std, first, middle and last element to 1e-6, the argmax histogram exactly."""
    flat = y.flatten()
    found = [y.mean(), y.std(), flat[0], flat[flat.numel() // 2], flat[-1]]
    assert [value.item() for value in found] == pytest.approx(figures, rel=1e-6)
    counts = y.argmax(dim=1).flatten().bincount().tolist()
    assert {k: count for k, count in enumerate(counts) if count} == histogram
