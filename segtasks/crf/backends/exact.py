"""The exact sums over all pairs in float64, without a lattice, for small windows and tests.

The sums include the pair of a pixel with itself, as in pydensecrf (the paper's derivation leaves it
out).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.backends.kernel import Float32, Kernel
from segtasks.errors import CrfError

MAX_PIXELS = 64 * 64
BLOCK = 512
Float64 = NDArray[np.float64]


def marginals(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Compute marginals (K, pixels); see `segtasks.crf.backends`.

    Raises:
        CrfError: there are more than 64 x 64 pixels; time grows with their square.
    """
    pixels = unary.shape[1]
    if pixels > MAX_PIXELS:
        raise CrfError(
            f"CRF backend exact got {pixels} pixels, takes at most {MAX_PIXELS} (64 x 64): "
            "use native, pydensecrf or torch"
        )
    terms = [(kernel, _scale(kernel)) for kernel in kernels]
    q = _softmax(-unary.astype(np.float64))
    for _ in range(iterations):
        energy = unary.astype(np.float64)
        for kernel, scale in terms:
            energy += kernel.compatibility @ (_filtered(kernel, q * scale) * scale)
        q = _softmax(-energy)
    return q.astype(np.float32)


def _scale(kernel: Kernel) -> Float64:
    """D^-1/2, (1, pixels): 1 / sqrt(row sums of the kernel)."""
    return np.asarray(1 / np.sqrt(_filtered(kernel, np.ones((1, kernel.pixels)))))


def _filtered(kernel: Kernel, values: Float64) -> Float64:
    """Multiply values (n, pixels) by the kernel matrix, one block of its columns at a time."""
    features = kernel.features.astype(np.float64)
    squares = (features**2).sum(axis=0) / 2
    result = np.empty_like(values)
    for start in range(0, kernel.pixels, BLOCK):
        block = slice(start, start + BLOCK)
        exponent = features.T @ features[:, block] - squares[:, None] - squares[block]
        result[:, block] = values @ np.exp(exponent)
    return result


def _softmax(energy: Float64) -> Float64:
    odds = np.exp(energy - energy.max(axis=0))
    return np.asarray(odds / odds.sum(axis=0))
