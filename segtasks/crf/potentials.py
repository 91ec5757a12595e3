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

from segtasks.crf.parameters import CrfParameters
from segtasks.errors import CrfError

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

MIN_PROBABILITY = 1e-5
"""pydensecrf's own clip: a class costs at most 11.5, so neighbours can outvote a sure network."""
PERIOD_X = math.sqrt(3)
PERIOD_Y = 3.0
"""Lattice periods along the first and second feature, in std: that far, every elevated coordinate
moves by a multiple of d + 1, in any number of dimensions d."""
LARGEST_KEY = 32_000
"""Lattice keys are int16; beyond them far pixels alias silently."""


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

    Raises:
        CrfError: the lattice's keys would overflow.
    """
    features = np.empty((2, np.count_nonzero(valid)), np.float32)
    _fill_positions(features, valid, (row, col), std_px)
    return _checked(features)


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

    Raises:
        CrfError: the lattice's keys would overflow.
    """
    features = np.empty((2 + len(image8), np.count_nonzero(valid)), np.float32)
    _fill_positions(features, valid, (row, col), parameters.bi_xy_std)
    for band, feature in zip(image8, features[2:], strict=True):
        np.divide(band[valid], np.float32(parameters.bi_rgb_std), out=feature)
    return _checked(features)


def _fill_positions(features: Float32, valid: Bool, origin: tuple[int, int], std_px: float) -> None:
    """Write the first two features: x before y, as pydensecrf's own addPairwise* have it."""
    H, W = valid.shape
    row, col = origin
    x = np.arange(W) / std_px + math.fmod(col / std_px, PERIOD_X)
    y = np.arange(H) / std_px + math.fmod(row / std_px, PERIOD_Y)
    # Summed in float64, rounded once: at origin 0 these are pydensecrf's own to the bit.
    features[0] = np.broadcast_to(x.astype(np.float32), (H, W))[valid]
    features[1] = np.broadcast_to(y.astype(np.float32)[:, None], (H, W))[valid]


def _checked(features: Float32) -> Float32:
    """The features, if the largest lattice key they can have fits an int16."""
    key = _largest_key(features)
    if key > LARGEST_KEY:
        raise CrfError(
            f"CRF features reach lattice key {key:.0f}, at most {LARGEST_KEY} fit: "
            f"enlarge pos_xy_std, bi_xy_std or bi_rgb_std {key / LARGEST_KEY:.1f} times or more"
        )
    return features


def _largest_key(features: Float32) -> float:
    """Bound of the elevated coordinates (Adams et al., §3.1) of (d, pixels) features >= 0."""
    d = len(features)
    maxima = features.max(axis=1, initial=0.0).astype(np.float64)
    axis = np.arange(1, d + 1)
    scaled = maxima * (d + 1) * math.sqrt(2 / 3) / np.sqrt(axis * (axis + 1))
    return float(max(scaled.sum(), (axis * scaled).max())) + d + 1
