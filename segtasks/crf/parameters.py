"""Parameters of a dense CRF (strengths, reaches, iterations), and the halo and memory they need.

    Krähenbühl & Koltun 2011, eq. 3:
    k(i, j) = w1 * exp(-|p_i - p_j|^2 / (2 θα^2) - |I_i - I_j|^2 / (2 θβ^2))
            + w2 * exp(-|p_i - p_j|^2 / (2 θγ^2))

    paper   here           DeepLab                pydensecrf          unit
    w1      bi_w           bi_w, w1               compat (bilateral)  1
    θα      bi_xy_std      bi_xy_std               sxy (bilateral)     pixels
    θβ      bi_rgb_std     bi_rgb_std              srgb                8-bit grey values (0..255)
    w2      pos_w          pos_w, w2              compat (Gaussian)   1
    θγ      pos_xy_std     pos_xy_std              sxy (Gaussian)      pixels
    μ       compatibility  - (Potts)              compat as a matrix  1, times w1 and w2
    -       iterations     iter_max, MAX_ITER     inference(n)        updates

A positive μ(a, b) penalises labels a and b next to each other. pydensecrf's matrices have that
sign; its scalar w is Potts, w [a != b]; its vector v is the matrix diag(v), so that smoothing needs
a negative one.

The defaults are the paper's example and pydensecrf's README (preset kraehenbuehl).
Papers: https://arxiv.org/abs/1210.5644, DeepLab https://arxiv.org/abs/1606.00915
"""

import math
import sys
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from segtasks.config.crf import PRESETS, Matrix
from segtasks.crf.backends.kernel import Float32, check_compatibility, potts
from segtasks.errors import CrfError

INT32_MAX = 2**31 - 1
MAX_ITERATIONS = 100
POSITION_DIMS = 2
BYTES_PER_PX = {"native": (140, 28), "pydensecrf": (300, 32), "torch": (900, 20)}
"""Bytes per pixel of a window: independent of the classes, and per class."""


@dataclass(frozen=True, kw_only=True)
class CrfParameters:
    """The parameters of one dense CRF; values that crash pydensecrf or give NaN are refused.

    Raises:
        CrfError: a value is not a number, not finite or out of its range.
    """

    iterations: int = 5
    """Mean-field updates, 1..100."""
    pos_w: float = 3.0
    """Strength w2 of the position term, >= 0; at 0 the term is left out."""
    pos_xy_std: float = 3.0
    """Reach θγ of the position term in pixels, > 0."""
    bi_w: float = 10.0
    """Strength w1 of the bilateral (position and colour) term, >= 0; at 0 the term is left out."""
    bi_xy_std: float = 80.0
    """Reach θα of the bilateral term in pixels, > 0. 80 suits 500 px photographs; aerial: 20-50."""
    bi_rgb_std: float = 13.0
    """Colour tolerance θβ of the bilateral term, > 0, in 8-bit units for any source depth."""
    compatibility: Matrix | None = None
    """Cost μ of labels a and b, K rows of K values, symmetric; None is Potts, [a != b]."""

    def __post_init__(self) -> None:
        _check_iterations(self.iterations)
        for name in ("pos_w", "bi_w"):
            _check_weight(name, getattr(self, name))
        for name in ("pos_xy_std", "bi_xy_std", "bi_rgb_std"):
            _check_std(name, getattr(self, name))
        if self.compatibility is not None:
            check_compatibility(np.array(self.compatibility, np.float32))

    def pair_costs(self, classes: int) -> Float32:
        """Return μ (K, K): positive values penalise a pair of labels, negative ones favour it.

        Raises:
            CrfError: the matrix has another number of classes.
        """
        if self.compatibility is None:
            return potts(classes, 1)
        if len(self.compatibility) != classes:
            size = len(self.compatibility)
            raise CrfError(
                f"compatibility is {size} x {size}, there are {classes} classes: one row per class"
            )
        return np.array(self.compatibility, np.float32)

    def halo_px(self) -> int:
        """Return the halo of a window in pixels: reach * (3 + 0.2 * iterations).

        Windows then differ from the whole image in <= 0.01 % of labels on ordinary content.
        """
        return math.ceil(self.reach_px() * (3 + 0.2 * self.iterations))

    def strict_halo_px(self) -> int:
        """Return the halo for uncertain networks, sand, forest: reach * (4 + 0.4 * iterations)."""
        return math.ceil(self.reach_px() * (4 + 0.4 * self.iterations))

    def reach_px(self) -> float:
        """Return the largest spatial standard deviation of the terms with a weight, in pixels."""
        terms = ((self.pos_w, self.pos_xy_std), (self.bi_w, self.bi_xy_std))
        return max((std for weight, std in terms if weight > 0), default=0.0)


def preset(name: str) -> CrfParameters:
    """Return the parameters of a preset: "kraehenbuehl", "deeplab" or "aerial".

    Raises:
        CrfError: there is no such preset.
    """
    if name not in PRESETS:
        raise CrfError(f"CRF preset {name!r}: use one of {', '.join(PRESETS)}")
    return CrfParameters(**PRESETS[name])


def bytes_per_px(classes: int, backend: str) -> int:
    """Return the peak memory of `refine` per window pixel (halo included), without its inputs.

    Measured on aerial photographs with 2-21 classes: pydensecrf 201-627 bytes with the presets
    kraehenbuehl and aerial and 316-877 with deeplab, so 300 + 32 K; torch 529-862 and 861-1090, so
    900 + 20 K; native 85-374 and 130-601, so 140 + 28 K. Pure noise needs less with wide kernels.
    With small ones (pos_xy_std 1, bi_rgb_std 3) it needs twice as much, but no photograph does.
    """
    fixed, per_class = BYTES_PER_PX.get(backend, BYTES_PER_PX["pydensecrf"])
    return fixed + per_class * classes


def largest_window_px(classes: int, bands: int) -> int:
    """Return the largest number of pixels (halo included) that pydensecrf's int32 indices allow.

    Its lattice has pixels * (dimensions + 1) entries. Its arrays have pixels * classes, with the
    classes padded to a multiple of four.
    """
    lattice = POSITION_DIMS + bands + 1
    padded_classes = math.ceil(classes / 4) * 4
    return INT32_MAX // max(lattice, padded_classes)


def check_window(pixels: int, classes: int, bands: int) -> None:
    """Refuse a window whose indices would overflow.

    Raises:
        CrfError: the window has more than `largest_window_px` pixels.
    """
    largest = largest_window_px(classes, bands)
    if pixels > largest:
        raise CrfError(
            f"CRF window has {pixels} pixels, at most {largest} fit 32-bit indices at {classes} "
            f"classes and {bands} bands: use windows of at most {math.isqrt(largest)} px a side"
        )


def _check_iterations(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_ITERATIONS:
        raise CrfError(
            f"iterations is {value!r}, must be a whole number 1..{MAX_ITERATIONS}: try 5"
        )


def _check_weight(name: str, value: object) -> None:
    # Only scalars: pydensecrf gives a vector or matrix the opposite sign and checks no length.
    if not _is_finite_number(value) or value < 0:
        raise CrfError(
            f"{name} is {value!r}, must be one finite number >= 0: try 3 (0: no such term)"
        )


def _check_std(name: str, value: object) -> None:
    # Zero or NaN would kill the process (SIGSEGV); the sign of a negative value would be ignored.
    if not _is_finite_number(value) or value <= 0:
        raise CrfError(f"{name} is {value!r}, must be one finite number > 0: try the default")


def _is_finite_number(value: object) -> TypeGuard[float]:
    # The comparison works for integers of any size and is false for NaN.
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max
