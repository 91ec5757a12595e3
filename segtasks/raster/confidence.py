"""Confidence of the labels: class probabilities (K, H, W) -> one byte per pixel.

0 .. 254 encode 0 .. 1 linearly; 255 is nodata. The value of a pixel depends on its own
probabilities alone, so the result is the same for any tiling.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segtasks.raster.labels import ROWS

Kind = Literal["max_probability", "margin", "entropy"]
Floats = npt.NDArray[np.floating[Any]]

MAX_CONFIDENCE = 254


def quantise_confidence(probabilities: Floats, kind: Kind) -> npt.NDArray[np.uint8]:
    """Compute the confidence of each pixel and encode it as a byte.

    Args:
        probabilities: (K, H, W), summing to 1 over the classes.
        kind: "max_probability" is the probability of the label. "margin" is that minus the
            probability of the second most likely class. "entropy" is 1 - H / ln K with
            H = -sum p ln p: 1 if one class is certain, 0 if all classes are equally likely.

    Returns:
        Bytes (H, W) of 0 .. 254.
    """
    out = np.empty(probabilities.shape[1:], np.uint8)
    for row in range(0, len(out), ROWS):
        strip = np.ascontiguousarray(probabilities[:, row : row + ROWS], np.float32)
        out[row : row + ROWS] = np.rint(MAX_CONFIDENCE * np.clip(_confidence(strip, kind), 0, 1))
    return out


def _confidence(probabilities: npt.NDArray[np.float32], kind: Kind) -> Floats:
    if kind == "max_probability":
        largest: Floats = probabilities.max(axis=0)
        return largest
    if kind == "margin":
        return _margin(probabilities)
    # 1 - H / ln K; p ln p is 0 at p = 0.
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    certainty: Floats = 1 + (probabilities * logs).sum(axis=0) / np.float32(
        np.log(len(probabilities))
    )
    return certainty


def _margin(probabilities: npt.NDArray[np.float32]) -> Floats:
    """Return the largest minus the second largest probability (H, W).

    It goes class by class because numpy's sort strides through memory pixel by pixel.
    """
    first: Floats = np.maximum(*probabilities[:2])
    second: Floats = np.minimum(*probabilities[:2])
    for plane in probabilities[2:]:
        np.maximum(second, np.minimum(first, plane), out=second)
        np.maximum(first, plane, out=first)
    np.subtract(first, second, out=first)
    return first


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Convert logits (K, H, W) to probabilities (K, H, W)."""
    probabilities: npt.NDArray[np.float32] = np.exp(logits - logits.max(axis=0))
    probabilities /= probabilities.sum(axis=0)
    return probabilities
