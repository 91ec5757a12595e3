"""Metrics of a network over the validation pairs, window by window."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn

from segtasks.evaluation.metrics import Counts, Scores, confusion
from segtasks.networks.card import Normalisation
from segtasks.networks.inference.tta_network import resize
from segtasks.storage.label_reader import ClassIds
from segtasks.training.crops import read_normalised
from segtasks.training.image_pairs import Pair


def evaluate_network(
    module: nn.Module,
    pairs: Sequence[Pair],
    normalisation: Normalisation,
    *,
    classes: int,
    window_px: int,
) -> Scores:
    """Compute the metrics of a network on windows that partition the pairs.

    Each window is one patch. If an image has another resolution than the network, it is resized,
    and its logits are resized back, as in inference. Windows have no halo, so the metrics are a
    little lower than those of a stitched mask.
    """
    device = next(module.parameters()).device
    training = module.training
    module.eval()
    total: Counts = np.zeros((classes, classes), np.int64)
    for pair in pairs:
        for window in pair.windows(pair.side_px(window_px)):
            image, labels = read_normalised(pair, window, normalisation)
            mask = _classify(module, image.to(device), pair.scale)
            truth = labels.numpy().astype(np.uint8)
            total += confusion(mask, truth, classes, pair.ignore)
    module.train(training)
    return Scores(total)


def _classify(module: nn.Module, image: Tensor, scale: Fraction) -> ClassIds:
    """Return the class ids (h, w) of an image (C, h, w)."""
    height, width = image.shape[1:]
    with torch.inference_mode():
        rescaled = resize(image[None], scale, [ceil(height * scale), ceil(width * scale)])
        logits = resize(module(rescaled), 1 / scale, [height, width])
        mask: ClassIds = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask
