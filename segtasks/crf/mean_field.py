"""Mean field on one window: probabilities and image in, marginals out; pydensecrf filters.

Krähenbühl & Koltun 2011, algorithm 1, https://arxiv.org/abs/1210.5644. Where we differ from a
plain call of pydensecrf: features anchored to the raster (potentials.py), invalid pixels left out
of the graph, and everything that would crash or poison it refused first (inputs.py).

Normalisation is always symmetric: it divides by a local kernel sum. NO_NORMALIZATION divides by
the window's mean, so the filter's strength would depend on where the window's border lies.
"""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.inputs import check_inputs, check_probabilities
from segtasks.crf.parameters import CrfParameters, check_window
from segtasks.crf.potentials import (
    Bool,
    Float32,
    bilateral_features,
    position_features,
    unary_energy,
)
from segtasks.errors import CrfError


def refine(
    probabilities: NDArray[np.floating[Any]],
    image8: Float32,
    valid: Bool,
    *,
    row: int,
    col: int,
    parameters: CrfParameters,
) -> Float32:
    """Marginals of the dense CRF on one window. One call per process at a time: it holds the GIL.

    Args:
        probabilities: (K, H, W) float, K >= 2, each valid pixel in 0..1 and summing to 1.
        image8: (C, H, W) float32, each band in 8-bit units 0..255, scaled the same in every window.
        valid: (H, W) bool, True where there is data. What lies under False is never looked at.
        row: the window's first row in raster pixels.
        col: the window's first column in raster pixels.
        parameters: the CRF's settings.

    Returns:
        (K, H, W) float32; sums to 1 on valid pixels, 0 for every class on invalid ones.

    Raises:
        CrfError: an array or window would crash or poison pydensecrf, or pydensecrf is missing.
    """
    check_inputs(probabilities, image8, valid, (row, col))
    marginals = np.zeros(probabilities.shape, np.float32)
    if valid.any():
        check_window(int(np.count_nonzero(valid)), len(probabilities), len(image8))
        field = _graph(probabilities, image8, valid, (row, col), parameters)
        marginals[:, valid] = _iterate(field, parameters.iterations)
    return marginals


def _graph(
    probabilities: NDArray[np.floating[Any]],
    image8: Float32,
    valid: Bool,
    origin: tuple[int, int],
    parameters: CrfParameters,
) -> Any:  # noqa: ANN401 - pydensecrf is untyped
    """The fully connected graph over the valid pixels: its unary and its kernels."""
    engine = _pydensecrf()
    known = probabilities[:, valid].astype(np.float32, order="C", copy=False)
    check_probabilities(known)
    field = engine.DenseCRF(known.shape[1], len(known))
    field.setUnaryEnergy(unary_energy(known))
    if parameters.pos_w > 0:
        features = position_features(valid, *origin, parameters.pos_xy_std)
        _add_kernel(engine, field, features, parameters.pos_w)
    if parameters.bi_w > 0:
        features = bilateral_features(valid, image8, *origin, parameters)
        _add_kernel(engine, field, features, parameters.bi_w)
    return field


def _add_kernel(engine: Any, field: Any, features: Float32, weight: float) -> None:  # noqa: ANN401
    """Add one Potts kernel (the paper's μ(a, b) = [a != b]), symmetrically normalised."""
    field.addPairwiseEnergy(
        features, compat=float(weight), normalization=engine.NORMALIZE_SYMMETRIC
    )


def _iterate(field: Any, iterations: int) -> Float32:  # noqa: ANN401
    """Run mean field and return Q, (K, pixels).

    Step by step rather than `inference(n)`: the same bits, and heartbeats get the GIL in between.
    """
    q, scratch, message = field.startInference()
    for _ in range(iterations):
        field.stepInference(q, scratch, message)
    marginals = np.asarray(q, np.float32)
    if not np.isfinite(marginals).all():
        raise CrfError("the CRF's marginals are not finite: lower pos_w and bi_w, or report this")
    return marginals


def _pydensecrf() -> Any:  # noqa: ANN401
    """pydensecrf, imported when first needed: it does not build on Python 3.13, all else runs."""
    try:
        return import_module("pydensecrf.densecrf")
    except ImportError as error:
        raise CrfError(
            "pydensecrf is missing, and the CRF needs it: pip install 'pydensecrf2>=1.1' "
            "(Python 3.11 or 3.12, g++ needed), or run without the CRF"
        ) from error
