"""What the mean field is made of: unary energies, and features anchored to the raster.

    raster (0,0) ┌──────────────────────────────┐
                 │        ┌── window (row, col) │    features: x / std, y / std, bands / std;
                 │        │                     │    positions counted from the raster's corner,
                 │        └──                   │    not from the window's

pydensecrf filters on a permutohedral lattice (Adams, Baek & Davis 2010) hung up on feature-space
zero. Counted from the window's corner, the same pixel falls into other lattice cells in each
window: 0.02-0.6 % of the labels differ everywhere, however large the halo. Counted from the
raster's corner, large rasters leave float32's precision and the lattice's int16 keys. But the
lattice repeats every sqrt(3) std along x and 3 std along y, so the window's origin modulo that,
its phase, serves as well.
"""

import math

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.backends.kernel import Float32
from segtasks.crf.parameters import CrfParameters

Bool = NDArray[np.bool_]

MIN_PROBABILITY = 1e-5
"""pydensecrf's own clip: a class costs at most 11.5, so neighbours can outvote a sure network."""
PERIOD_X = math.sqrt(3)
PERIOD_Y = 3.0
"""Lattice periods along the first and second feature, in std: that far, every elevated coordinate
moves by a multiple of d + 1, in any number of dimensions d."""


def unary_energy(probabilities: Float32) -> Float32:
    """-log p of (K, pixels) probabilities, in place: float32, C-contiguous, writable; 0..11.5."""
    np.clip(probabilities, MIN_PROBABILITY, 1.0, out=probabilities)
    np.log(probabilities, out=probabilities)
    return np.negative(probabilities, out=probabilities)


def position_features(valid: Bool, row: int, col: int, std_px: float) -> Float32:
    """Features (2, pixels) of the Gaussian term: x / θγ, y / θγ, valid pixels only, row-major.

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
    """Features (2 + C, pixels) of the bilateral term: x / θα, y / θα, bands / θβ, row-major.

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
    """Write the first two features: x before y, as pydensecrf's own addPairwise* have it."""
    H, W = valid.shape
    row, col = origin
    # The remainder nearest 0: just before a whole period it is a small negative, not a period.
    x = np.arange(W) / std_px + math.remainder(col / std_px, PERIOD_X)
    y = np.arange(H) / std_px + math.remainder(row / std_px, PERIOD_Y)
    # Summed in float64, rounded once: at origin 0 these are pydensecrf's own to the bit.
    features[0] = np.broadcast_to(x.astype(np.float32), (H, W))[valid]
    features[1] = np.broadcast_to(y.astype(np.float32)[:, None], (H, W))[valid]
