"""Refine the probabilities of one window with the dense CRF, and decide whether this is needed.

The algorithm is mean field, Krähenbühl & Koltun 2011, algorithm 1,
https://arxiv.org/abs/1210.5644. There are three differences from a plain call of pydensecrf:
features are anchored to the raster (potentials.py), invalid pixels are left out of the graph, and
inputs that would crash the process or give NaN are refused (checks.py).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtasks.crf import backends
from segtasks.crf.backends.kernel import Float32, Kernel
from segtasks.crf.checks import check_inputs, check_probabilities
from segtasks.crf.parameters import CrfParameters, check_window
from segtasks.crf.potentials import Bool, bilateral_features, position_features, unary_energy

CERTAIN = 0.99


def refine(
    probabilities: NDArray[np.floating[Any]],
    image8: Float32,
    valid: Bool,
    *,
    row: int,
    col: int,
    parameters: CrfParameters,
    backend: str = "auto",
) -> Float32:
    """Compute the marginals of the dense CRF on one window.

    Args:
        probabilities: (K, H, W) float, K >= 2, each valid pixel in 0..1 and summing to 1.
        image8: (C, H, W) float32, each band in 8-bit units 0..255, scaled the same in every window.
        valid: (H, W) bool, True where there is data. Other pixels are ignored.
        row: the window's first row in raster pixels.
        col: the window's first column in raster pixels.
        parameters: the CRF's settings.
        backend: "auto", "native", "pydensecrf", "torch" or "exact"; see `segtasks.crf.backends`.

    Returns:
        (K, H, W) float32; sums to 1 on valid pixels, 0 for every class on invalid ones.

    Raises:
        CrfError: an array or window would crash or poison a backend, or the backend is missing.
    """
    check_inputs(probabilities, image8, valid, (row, col))
    marginals = np.zeros(probabilities.shape, np.float32)
    if valid.any():
        check_window(int(np.count_nonzero(valid)), len(probabilities), len(image8))
        known = probabilities[:, valid].astype(np.float32, order="C", copy=False)
        check_probabilities(known)
        kernels = _kernels(len(known), image8, valid, (row, col), parameters)
        unary = unary_energy(known)
        marginals[:, valid] = backends.marginals(backend, unary, kernels, parameters.iterations)
    return marginals


def _kernels(
    classes: int, image8: Float32, valid: Bool, origin: tuple[int, int], parameters: CrfParameters
) -> list[Kernel]:
    """Build the pairwise terms over the valid pixels; a term with weight 0 is left out."""
    kernels, costs = [], parameters.pair_costs(classes)
    if parameters.pos_w > 0:
        features = position_features(valid, *origin, parameters.pos_xy_std)
        kernels.append(Kernel(features, np.float32(parameters.pos_w) * costs))
    if parameters.bi_w > 0:
        features = bilateral_features(valid, image8, *origin, parameters)
        kernels.append(Kernel(features, np.float32(parameters.bi_w) * costs))
    return kernels


def is_certain(
    probabilities: NDArray[np.floating[Any]], valid: Bool, threshold: float = CERTAIN
) -> bool:
    """Return whether every valid pixel of a window's core has one class above the threshold.

    The CRF then changes no label (0.0000 % in all measured cases). The same test per pixel would
    not be lossless, because a certain pixel among uncertain ones may change. A core without valid
    pixels is certain; one with NaN is not.

    Args:
        probabilities: probabilities (K, H, W) of the core.
        valid: (H, W), True where there is data.
        threshold: a probability, 0..1.
    """
    surest = probabilities.max(axis=0)
    return bool((surest[valid] > threshold).all())
