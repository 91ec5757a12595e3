"""The loss of training: cross entropy, Dice and Lovász-Softmax over the labelled pixels.

Dice is that of Milletari et al. 2016, arXiv:1606.04797, eq. 3, per class and without the squares.
Lovász-Softmax is that of Berman et al. 2018, arXiv:1705.08790, eq. 11. Both are computed by kornia,
as means over the classes in the crops.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from segtasks.config.train_job import Loss


def loss_of(
    logits: Tensor, labels: Tensor, weights: Tensor, ignore: int, kind: Loss = "cross_entropy"
) -> Tensor:
    """Compute the weighted mean loss over labelled pixels; it is 0 if no pixel is labelled.

    Pixels without a label are removed first, so that their logits change neither the loss nor a
    gradient, even if they are NaN.

    Args:
        logits: logits (N, K, H, W).
        labels: class ids (N, H, W), int64.
        weights: weights of the classes (K,).
        ignore: label value that is no class.
        kind: the loss; the losses of names joined by + are added.
    """
    rows, classes = logits.movedim(1, -1).reshape(-1, logits.shape[1]), labels.flatten()
    known = classes != ignore
    if not known.all():
        at = known.nonzero()[:, 0]
        rows, classes = rows.index_select(0, at), classes[at]
    # With classes first, softmax runs along pixels, which is 4 x as fast as one per pixel.
    pixels = rows.T.float().contiguous()  # (K, P); classes: (P,)
    if not len(classes):
        return pixels.sum()
    parts = [_LOSSES[name](pixels[None], classes[None], weights) for name in kind.split("+")]
    return torch.stack(parts).sum()


def mass_of(labels: Tensor, weights: Tensor) -> Tensor:
    """Sum the class weights of the labelled pixels: the weight of a part in the batch's mean."""
    counts = torch.bincount(labels.flatten(), minlength=len(weights))[: len(weights)]
    return (counts * weights).sum()


def _cross_entropy(pixels: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    total = functional.cross_entropy(pixels, classes, weight=weights, reduction="sum")
    # cross_entropy's own mean is 0 / 0 if all classes have weight 0.
    return total / mass_of(classes, weights).clamp(min=1)


def _dice(pixels: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    from kornia.losses import dice_loss  # noqa: PLC0415 - takes 2 s, and cross entropy needs none

    image, target = pixels[..., None], classes[..., None]
    loss: Tensor = dice_loss(image, target, average="macro", weight=weights)
    return loss


def _lovasz(pixels: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    from kornia.losses import lovasz_softmax_loss  # noqa: PLC0415 - the same

    # kornia's mean is over all classes, Berman's only over those that are present.
    present = torch.zeros_like(weights).index_fill(0, classes[0], 1) * weights
    shares = present * len(weights) / present.sum().clamp(min=torch.finfo(weights.dtype).tiny)
    loss: Tensor = lovasz_softmax_loss(pixels[..., None], classes[..., None], weight=shares)
    return loss


_LOSSES: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "dice": _dice,
    "lovasz": _lovasz,
}
"""Losses of one image of labelled pixels: logits (1, K, P), class ids (1, P), weights (K,)."""
