"""One pairwise term: the features of every pixel, and the cost of every pair of labels."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segtasks.errors import CrfError

Float32 = NDArray[np.float32]
LARGEST_KEY = 32_000
"""Lattice keys are int16 in pydensecrf; larger ones wrap around and alias distant pixels."""


@dataclass(frozen=True, eq=False, slots=True)
class Kernel:
    """μ(a, b) exp(-|f_i - f_j|² / 2): Krähenbühl & Koltun 2011, eq. 2 and 3, w and μ multiplied.

    Values that would crash pydensecrf (NaN features: SIGSEGV) or give wrong results (μ of another
    size) are refused.

    Raises:
        CrfError: a type, shape or value is wrong, μ is not symmetric, or a lattice key overflows.
    """

    features: Float32
    """(d, pixels) float32, d >= 1: positions and colours over their standard deviations."""
    compatibility: Float32
    """(K, K) float32 μ, symmetric, finite. Energy of labels a, b: positive penalises the pair,
    negative attracts it. Potts is w off the diagonal and 0 on it. (pydensecrf's matrices have this
    sign; its scalar w is Potts; its vector v rewards equal labels by -v.)"""

    def __post_init__(self) -> None:
        check_compatibility(self.compatibility)
        _check_features(self.features)
        key = _largest_key(self.features)
        if not key <= LARGEST_KEY:
            raise CrfError(
                f"CRF features reach lattice key {key:.0f}, at most {LARGEST_KEY} fit: "
                f"enlarge pos_xy_std, bi_xy_std or bi_rgb_std {key / LARGEST_KEY:.1f} times or more"
            )

    @property
    def pixels(self) -> int:
        """The number of valid pixels of the window."""
        return int(self.features.shape[1])

    @property
    def classes(self) -> int:
        """The number of classes K."""
        return len(self.compatibility)

    @property
    def potts_w(self) -> float | None:
        """The weight w if μ is Potts, w * (1 - I), else None.

        A term that all labels share cancels in the softmax, so w (1 - I) and -w I are the same
        model, and the product with μ becomes a multiplication by -w.
        """
        weight = self.compatibility[0, 1]
        is_potts = np.array_equal(self.compatibility, potts(len(self.compatibility), float(weight)))
        return float(weight) if is_potts else None


def potts(classes: int, weight: float) -> Float32:
    """Return the Potts compatibility (K, K): different labels cost `weight`, equal ones nothing."""
    return (weight * (1 - np.eye(classes))).astype(np.float32)


def check_compatibility(matrix: Float32) -> None:
    """Refuse a μ that is not (K, K) float32, K >= 2, finite and symmetric.

    Raises:
        CrfError: the message names the size or the first pair that differs.
    """
    size = f"{matrix.dtype} {matrix.shape}"
    if matrix.dtype != np.float32 or matrix.ndim != 2 or len(set(matrix.shape)) > 1:  # noqa: PLR2004 - axes
        raise CrfError(f"compatibility is {size}, must be float32 (K, K): one row per class")
    if len(matrix) < 2:  # noqa: PLR2004 - a pair
        raise CrfError(f"compatibility is {size}: a CRF needs 2 classes or more")
    if not np.isfinite(matrix).all():
        raise CrfError("compatibility holds NaN or infinity, must be finite")
    if not np.array_equal(matrix, matrix.T):
        a, b = np.argwhere(matrix != matrix.T)[0]
        raise CrfError(
            f"compatibility of classes {a}, {b} is {matrix[a, b]:g} and of {b}, {a} "
            f"{matrix[b, a]:g}, must be equal: pairs have no order"
        )


def _check_features(features: Float32) -> None:
    if features.dtype != np.float32 or features.ndim != 2 or not len(features):  # noqa: PLR2004 - axes
        raise CrfError(
            f"features are {features.dtype} {features.shape}, must be float32 (d, pixels), d >= 1"
        )
    if not features.flags.c_contiguous:
        raise CrfError("features are not C-contiguous: use numpy.ascontiguousarray")
    if not np.isfinite(features.sum(dtype=np.float64)):
        raise CrfError("features hold NaN or infinity, must be finite: mark such pixels invalid")


def _largest_key(features: Float32) -> float:
    """Bound the elevated coordinates of features (d, pixels), Adams et al. 2010, §3.1."""
    d = len(features)
    highest, lowest = features.max(axis=1, initial=0.0), features.min(axis=1, initial=0.0)
    maxima = np.maximum(highest, -lowest).astype(np.float64)
    axis = np.arange(1, d + 1)
    scaled = maxima * (d + 1) * math.sqrt(2 / 3) / np.sqrt(axis * (axis + 1))
    return float(max(scaled.sum(), (axis * scaled).max())) + d + 1
