"""When a window needs no CRF at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.potentials import Bool

CERTAIN = 0.99


def is_certain(
    probabilities: NDArray[np.floating[Any]], valid: Bool, threshold: float = CERTAIN
) -> bool:
    """True if every valid pixel of a window's core has one class above the threshold.

    The CRF then changes no label (0.0000 % in all measured cases). The same per pixel is not
    lossless: a sure pixel amid unsure ones may flip. A core without valid pixels is certain; one
    with NaN is not.

    Args:
        probabilities: (K, H, W), of the core.
        valid: (H, W), True where there is data.
        threshold: a probability, 0..1.
    """
    surest = probabilities.max(axis=0)
    return bool((surest[valid] > threshold).all())
