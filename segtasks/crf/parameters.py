"""What a dense CRF is told: strengths, reaches, iterations; and what follows for a window.

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

A positive μ(a, b) keeps labels a and b apart. pydensecrf's matrices have that sign; its scalar w is
Potts, w [a != b]; its vector v is the matrix diag(v), so that smoothing takes a negative one.

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
"""Of a window's pixel: what it takes whatever the classes, and per class."""


@dataclass(frozen=True, kw_only=True)
class CrfParameters:
    """The settings of one dense CRF; refuses every value that crashes or poisons pydensecrf.

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
    """Colour tolerance θβ of the bilateral term in 8-bit units whatever the source's depth, > 0."""
    compatibility: Matrix | None = None
    """μ, K rows of K, symmetric: what labels a and b cost; None: Potts, [a != b]."""

    def __post_init__(self) -> None:
        _check_iterations(self.iterations)
        for name in ("pos_w", "bi_w"):
            _check_weight(name, getattr(self, name))
        for name in ("pos_xy_std", "bi_xy_std", "bi_rgb_std"):
            _check_std(name, getattr(self, name))
        if self.compatibility is not None:
            check_compatibility(np.array(self.compatibility, np.float32))

    def pair_costs(self, classes: int) -> Float32:
        """μ (K, K) for `classes` classes: positive keeps labels apart, negative joins them.

        Raises:
            CrfError: the matrix is of another number of classes.
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
        """Context a window reads on each side, in pixels: reach * (3 + 0.2 * iterations).

        Windows then differ from the whole image in <= 0.01 % of labels on ordinary content.
        """
        return math.ceil(self.reach_px() * (3 + 0.2 * self.iterations))

    def strict_halo_px(self) -> int:
        """The same for hard content (unsure network, sand, forest): reach * (4 + 0.4 * it.)."""
        return math.ceil(self.reach_px() * (4 + 0.4 * self.iterations))

    def reach_px(self) -> float:
        """The longest standard deviation among the terms that take part, in pixels."""
        terms = ((self.pos_w, self.pos_xy_std), (self.bi_w, self.bi_xy_std))
        return max((std for weight, std in terms if weight > 0), default=0.0)


def preset(name: str) -> CrfParameters:
    """The settings of a preset: "kraehenbuehl", "deeplab" or "aerial".

    Raises:
        CrfError: no such preset.
    """
    if name not in PRESETS:
        raise CrfError(f"CRF preset {name!r}: use one of {', '.join(PRESETS)}")
    return CrfParameters(**PRESETS[name])


def bytes_per_px(classes: int, backend: str) -> int:
    """Peak memory of `refine` per window pixel, halo included, its inputs not.

    Measured on aerial photographs: pydensecrf 201-627 bytes with the presets kraehenbuehl and
    aerial, 316-877 with deeplab, K 2-21, so 300 + 32 K; torch 529-862 and 861-1090, so 900 + 20 K;
    native 85-374 and 130-601, so 140 + 28 K.
    Pure noise stays below it with wide kernels; with small ones (pos_xy_std 1, bi_rgb_std 3) it
    takes twice as much, which no photograph does.
    """
    fixed, per_class = BYTES_PER_PX.get(backend, BYTES_PER_PX["pydensecrf"])
    return fixed + per_class * classes


def largest_window_px(classes: int, bands: int) -> int:
    """The most pixels, halo included, whose int32 indices in pydensecrf do not overflow.

    Its lattice counts pixels * (dimensions + 1), its arrays pixels * classes padded to fours.
    """
    lattice = POSITION_DIMS + bands + 1
    padded_classes = math.ceil(classes / 4) * 4
    return INT32_MAX // max(lattice, padded_classes)


def check_window(pixels: int, classes: int, bands: int) -> None:
    """Refuse a window whose indices would wrap.

    Raises:
        CrfError: more than `largest_window_px` pixels.
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
    # Scalars only: pydensecrf gives a vector or matrix the opposite sign, and checks no length.
    if not _is_finite_number(value) or value < 0:
        raise CrfError(
            f"{name} is {value!r}, must be one finite number >= 0: try 3 (0: no such term)"
        )


def _check_std(name: str, value: object) -> None:
    # Zero or NaN would kill the process (SIGSEGV); a negative one would have its sign ignored.
    if not _is_finite_number(value) or value <= 0:
        raise CrfError(f"{name} is {value!r}, must be one finite number > 0: try the default")


def _is_finite_number(value: object) -> TypeGuard[float]:
    # A comparison takes integers of any size, and holds for no NaN.
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max
