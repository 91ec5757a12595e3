"""pydensecrf, which wraps Krähenbühl & Koltun's own code: the reference of the other backends.

It holds the GIL, so one process can run one call at a time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydensecrf import densecrf

from segtasks.crf.backends.kernel import Float32, Kernel


def marginals(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Compute marginals (K, pixels); see `segtasks.crf.backends`."""
    classes, pixels = unary.shape
    field = densecrf.DenseCRF(pixels, classes)
    # pydensecrf accepts no read-only arrays. It does not copy or change this one.
    field.setUnaryEnergy(unary if unary.flags.writeable else unary.copy())
    for kernel in kernels:
        features = kernel.features if kernel.features.flags.writeable else kernel.features.copy()
        # A scalar for Potts has a fast path. A matrix, unlike a vector, has the sign of `Kernel`.
        weight = kernel.potts_w
        compat = np.array(kernel.compatibility, order="C") if weight is None else weight
        field.addPairwiseEnergy(features, compat=compat, normalization=densecrf.NORMALIZE_SYMMETRIC)
    return _run_mean_field(field, iterations)


def _run_mean_field(field: Any, iterations: int) -> Float32:  # noqa: ANN401 - pydensecrf is untyped
    """Run mean field and return Q, (K, pixels).

    It runs step by step instead of `inference(n)`, with the same bits, so that other threads (such
    as heartbeats) get the GIL in between.
    """
    q, scratch, message = field.startInference()
    for _ in range(iterations):
        field.stepInference(q, scratch, message)
    return np.asarray(q, np.float32)
