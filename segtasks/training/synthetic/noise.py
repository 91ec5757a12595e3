"""Hashed-lattice noise: a number for every place of an unlimited plane, the same in any window.

Arrays are computed only with ``+ - * / floor``. Their rounding does not depend on the position of
an element in its array, so two windows agree to the bit (with vectorised ``sin`` or matrix products
they would not).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Reals = NDArray[np.floating]
"""Street coordinates, which are float64 because they reach 2^30."""
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint32]


def hashed(seed: int, salt: int, *keys: Ints) -> Hashes:
    """Return one well-mixed 32-bit number per place (murmur3's finaliser, one round per key).

    Args:
        seed: the world.
        salt: what the number is for; different salts are independent.
        keys: integer coordinates, broadcast together; negative ones are fine.
    """
    start = (seed * 0x9E3779B1 + salt * 0x85EBCA77 + 0x165667B1) & 0xFFFFFFFF
    state = np.full((1,) * keys[0].ndim, start, np.uint32)
    for key in keys:
        state = state ^ key.astype(np.uint32) * np.uint32(0xCC9E2D51)
        state = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    mixed: Hashes = state ^ (state >> np.uint32(16))
    return mixed


def uniform(seed: int, salt: int, *keys: Ints) -> Floats:
    """Return one number in [0, 1) per place."""
    return (hashed(seed, salt, *keys) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def grid_noise(seed: int, salt: int, rows: Ints, cols: Ints, cell_px: int) -> Floats:
    """Return value noise in [0, 1) on the grid ``rows x cols``, smooth over ``cell_px``.

    Args:
        seed: the world.
        salt: which noise.
        rows: (H,) world pixel rows.
        cols: (W,) world pixel columns.
        cell_px: distance between lattice points, pixels.

    Returns:
        (H, W).
    """
    i, f = _lattice(rows, cell_px)
    j, g = _lattice(cols, cell_px)
    knots_i, knots_j = np.arange(i.min(), i.max() + 2), np.arange(j.min(), j.max() + 2)
    knots = uniform(seed, salt, knots_i[:, None], knots_j[None, :])
    i, j = i - knots_i[0], j - knots_j[0]
    lines = knots[i] + (knots[i + 1] - knots[i]) * f[:, None]
    steps = lines[:, 1:] - lines[:, :-1]
    noise: Floats = np.take(steps, j, axis=1)
    noise *= g
    noise += np.take(lines, j, axis=1)
    return noise


def point_noise(seed: int, salt: int, rows: Ints, cols: Ints, cell_px: int) -> Floats:
    """Return the noise of ``grid_noise`` at scattered points (same shape as rows and cols)."""
    i, f = _lattice(rows, cell_px)
    j, g = _lattice(cols, cell_px)
    left = _mixed(uniform(seed, salt, i, j), uniform(seed, salt, i + 1, j), f)
    right = _mixed(uniform(seed, salt, i, j + 1), uniform(seed, salt, i + 1, j + 1), f)
    return left + (right - left) * g


def _mixed(a: Floats, b: Floats, share: Floats) -> Floats:
    return a + (b - a) * share


def _lattice(positions: Ints, cell_px: int) -> tuple[Ints, Floats]:
    """Return the lattice index left of each position and the smoothstep share beyond it."""
    index = positions // cell_px
    share = ((positions - index * cell_px) / cell_px).astype(np.float32)
    return index, share * share * (3 - 2 * share)
