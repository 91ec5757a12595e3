"""Check the inputs of the CRF (shapes, types and ranges) before they reach a backend.

In pydensecrf, one NaN in the unary turns most of a window into NaN without an error, and a NaN
feature kills the process (SIGSEGV). Neither can be caught, so the inputs are checked before.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.backends.kernel import Float32
from segtasks.crf.potentials import Bool
from segtasks.errors import CrfError
from segtasks.raster.stretch import MAX_8BIT

LAST_PX = 2**40
"""Far beyond any raster, but float64 still resolves positions on the lattice there."""
SUM_TOLERANCE = 0.05
"""Allows for probabilities that were stored as float16, or as uint8 with many classes."""


def check_inputs(
    probabilities: NDArray[np.floating[Any]],
    image8: Float32,
    valid: Bool,
    origin: tuple[int, int],
) -> None:
    """Refuse arrays that `refine` does not accept; see there for shapes and units.

    Memory order and read-only flags do not matter, as the values are copied.

    Raises:
        CrfError: a type, shape, class count, origin or image value is wrong.
    """
    _check_dtype("probabilities", probabilities, np.floating, "float (K, H, W)")
    _check_dtype("image8", image8, np.float32, "float32 (C, H, W) in 8-bit units")
    _check_dtype("valid", valid, np.bool_, "bool (H, W)")
    _check_shapes(probabilities.shape, image8.shape, valid.shape)
    if not 0 <= min(origin) <= max(origin) <= LAST_PX:
        raise CrfError(
            f"CRF window starts at row, col {origin}, must be >= 0: count from the raster's corner "
            f"(and at most {LAST_PX})"
        )
    for band, values in enumerate(image8):
        _check_band(band, values[valid])


def check_probabilities(known: Float32) -> None:
    """Refuse values (K, pixels) that are not probabilities.

    Raises:
        CrfError: a value is not finite or outside 0..1, or a pixel does not sum to 1.
    """
    # If any value is NaN, both extremes are NaN, and every comparison with NaN is false.
    low, high = float(known.min()), float(known.max())
    if not -SUM_TOLERANCE <= low <= high <= 1 + SUM_TOLERANCE:
        raise CrfError(
            f"probabilities are {low:g}..{high:g}, must be finite and within 0..1: "
            "apply softmax to logits, mark broken pixels invalid"
        )
    error = float(np.abs(known.sum(axis=0) - 1).max())
    if error > SUM_TOLERANCE:
        raise CrfError(
            f"probabilities of a pixel miss the sum 1 by {error:.3g}, at most {SUM_TOLERANCE}: "
            "is the class axis first (K, H, W), and was it softmax, not sigmoid?"
        )


def _check_dtype(name: str, array: object, kind: type[np.generic], expected: str) -> None:
    if not isinstance(array, np.ndarray):
        raise CrfError(f"{name} is a {type(array).__name__}, must be a numpy array, {expected}")
    if not np.issubdtype(array.dtype, kind):
        raise CrfError(f"{name} is {array.dtype}, must be {expected}: convert it first")


def _check_shapes(
    probabilities: tuple[int, ...], image8: tuple[int, ...], valid: tuple[int, ...]
) -> None:
    dims = len(probabilities), len(image8), len(valid)
    if dims != (3, 3, 2) or not probabilities[1:] == image8[1:] == valid:
        raise CrfError(
            f"probabilities {probabilities}, image8 {image8} and valid {valid} do not fit: "
            "must be (K, H, W), (C, H, W) and (H, W) with one H, W; put classes and bands first"
        )
    if probabilities[0] <= 1:
        raise CrfError(
            f"the CRF got {probabilities[0]} class, needs >= 2: write p and 1 - p as two classes"
        )


def _check_band(band: int, values: Float32) -> None:
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if not 0 <= low <= high <= MAX_8BIT:
        raise CrfError(
            f"image8 band {band} is {low:g}..{high:g}, must be finite and within 0..255: "
            "scale with one range for the whole raster (bi_rgb_std is in 8-bit units)"
        )
