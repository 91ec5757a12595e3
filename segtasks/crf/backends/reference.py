"""pydensecrf, the program of Krähenbühl & Koltun's own code: what the other backends must equal.

It holds the GIL: one call per process at a time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydensecrf import densecrf

from segtasks.crf.backends.kernel import Float32, Kernel


def marginals(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Marginals (K, pixels); see `segtasks.crf.backends`."""
    classes, pixels = unary.shape
    field = densecrf.DenseCRF(pixels, classes)
    # It takes no read-only arrays, and only wraps this one.
    field.setUnaryEnergy(unary if unary.flags.writeable else unary.copy())
    for kernel in kernels:
        features = kernel.features if kernel.features.flags.writeable else kernel.features.copy()
        field.addPairwiseEnergy(
            features, compat=_compat(kernel), normalization=densecrf.NORMALIZE_SYMMETRIC
        )
    return _iterated(field, iterations)


def _compat(kernel: Kernel) -> float | Float32:
    """Potts as a scalar, for which it has a fast path; a matrix, unlike a vector, has our sign."""
    weight = kernel.potts_w
    return np.array(kernel.compatibility, order="C") if weight is None else weight


def _iterated(field: Any, iterations: int) -> Float32:  # noqa: ANN401 - pydensecrf is untyped
    """Run mean field and return Q, (K, pixels).

    Step by step rather than `inference(n)`: the same bits, and heartbeats get the GIL in between.
    """
    q, scratch, message = field.startInference()
    for _ in range(iterations):
        field.stepInference(q, scratch, message)
    return np.asarray(q, np.float32)
