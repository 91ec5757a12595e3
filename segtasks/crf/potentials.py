"""The inputs of mean field: unary energies, and features anchored to the raster.

    raster (0,0) ┌──────────────────────────────┐
                 │        ┌── window (row, col) │    features: x / std, y / std, bands / std;
                 │        │                     │    positions counted from the raster's corner,
                 │        └──                   │    not from the window's

pydensecrf filters on a permutohedral lattice (Adams, Baek & Davis 2010) whose origin is at zero in
feature space. If positions count from the window's corner, a pixel falls into different lattice
cells in each window, and 0.02-0.6 % of the labels differ everywhere, for any halo. If they count
from the raster's corner, large rasters exceed float32's precision and the lattice's int16 keys.
However, the lattice is periodic with sqrt(3) std along x and 3 std along y. Therefore the window's
origin is taken modulo these periods, which gives the same cells.
"""

import math

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.backends.kernel import Float32
from segtasks.crf.parameters import CrfParameters

Bool = NDArray[np.bool_]

MIN_PROBABILITY = 1e-5
"""pydensecrf's own limit: a class costs at most 11.5, so neighbours can outvote the network."""
PERIOD_X = math.sqrt(3)
PERIOD_Y = 3.0
"""Periods of the lattice along the first and second feature, in std. A shift by one period changes
every elevated coordinate by a multiple of d + 1, in any number of dimensions d."""


def unary_energy(probabilities: Float32) -> Float32:
    """Replace probabilities (K, pixels) in place by -log p, 0..11.5; the array must be writable."""
    np.clip(probabilities, MIN_PROBABILITY, 1.0, out=probabilities)
    np.log(probabilities, out=probabilities)
    return np.negative(probabilities, out=probabilities)


def position_features(valid: Bool, row: int, col: int, std_px: float) -> Float32:
    """Return the features (2, pixels) of the position term, x / θγ and y / θγ, in row order.

    Args:
        valid: (H, W), True where there is data.
        row: the window's first row in raster pixels.
        col: the window's first column in raster pixels.
        std_px: θγ in pixels.
    """
    features = np.empty((2, np.count_nonzero(valid)), np.float32)
    _fill_positions(features, valid, (row, col), std_px)
    return features


def bilateral_features(
    valid: Bool, image8: Float32, row: int, col: int, parameters: CrfParameters
) -> Float32:
    """Return the features (2 + C, pixels) of the bilateral term, x / θα, y / θα, bands / θβ.

    Args:
        valid: (H, W), True where there is data.
        image8: (C, H, W) in 8-bit units, 0..255.
        row: the window's first row in raster pixels.
        col: the window's first column in raster pixels.
        parameters: θα is `bi_xy_std`, θβ is `bi_rgb_std`.
    """
    features = np.empty((2 + len(image8), np.count_nonzero(valid)), np.float32)
    _fill_positions(features, valid, (row, col), parameters.bi_xy_std)
    for band, feature in zip(image8, features[2:], strict=True):
        np.divide(band[valid], np.float32(parameters.bi_rgb_std), out=feature)
    return features


def _fill_positions(features: Float32, valid: Bool, origin: tuple[int, int], std_px: float) -> None:
    """Write the first two features, x before y as in pydensecrf's own addPairwise* functions."""
    H, W = valid.shape
    row, col = origin
    # The remainder nearest to 0 keeps the numbers small: just below a period it is negative.
    x = np.arange(W) / std_px + math.remainder(col / std_px, PERIOD_X)
    y = np.arange(H) / std_px + math.remainder(row / std_px, PERIOD_Y)
    # Summed in float64 and rounded once: at origin 0 these equal pydensecrf's own to the bit.
    features[0] = np.broadcast_to(x.astype(np.float32), (H, W))[valid]
    features[1] = np.broadcast_to(y.astype(np.float32)[:, None], (H, W))[valid]
