"""Scores of a network over pairs, window by window."""

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
    """Score a network on windows that partition the pairs; each window is one patch.

    An image of other pixels than the network's is resized for it, and its logits back, as
    inference does. Windows have no halo, so the figure is a little lower than that of a stitched
    mask.
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
    """(C, h, w) -> class ids (h, w)."""
    height, width = image.shape[1:]
    with torch.inference_mode():
        seen = resize(image[None], scale, [ceil(height * scale), ceil(width * scale)])
        logits = resize(module(seen), 1 / scale, [height, width])
        mask: ClassIds = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask
