"""How sure labels are: class probabilities (K, H, W) -> one byte per pixel.

0 .. 254 stand for 0 .. 1, linearly; 255 is nodata. Nothing but a pixel's own probabilities counts,
so tiles give what the whole gives.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segtasks.raster.labels import ROWS

Kind = Literal["max_probability", "margin", "entropy"]
Floats = npt.NDArray[np.floating[Any]]

MAX_CONFIDENCE = 254


def quantise_confidence(probabilities: Floats, kind: Kind) -> npt.NDArray[np.uint8]:
    """Bytes (H, W) of probabilities (K, H, W).

    max_probability: of the label. margin: less that of the next likely class. entropy:
    1 - H / ln K with H = -sum p ln p, so that it too is 1 where one class is certain and 0 where
    all are alike.
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
    return _margin(probabilities) if kind == "margin" else _less_entropy(probabilities)


def _margin(probabilities: npt.NDArray[np.float32]) -> Floats:
    """Class by class, since numpy's sorts stride through memory pixel by pixel."""
    first: Floats = np.maximum(*probabilities[:2])
    second: Floats = np.minimum(*probabilities[:2])
    for one in probabilities[2:]:
        np.maximum(second, np.minimum(first, one), out=second)
        np.maximum(first, one, out=first)
    np.subtract(first, second, out=first)
    return first


def _less_entropy(probabilities: npt.NDArray[np.float32]) -> Floats:
    # p ln p is 0 at p = 0.
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    less: Floats = 1 + (probabilities * logs).sum(axis=0) / np.float32(np.log(len(probabilities)))
    return less


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities (K, H, W) of logits (K, H, W)."""
    shares: npt.NDArray[np.float32] = np.exp(logits - logits.max(axis=0))
    shares /= shares.sum(axis=0)
    return shares
