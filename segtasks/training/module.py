"""A network as it is trained: with its auxiliary head, or at several scales.

image ─┬─ x1    ─▶ logits ──────┬─▶ loss        DeepLab v2, sec. 4.1: each scale and their
├─ x0.75 ─▶ logits, x4/3 ┼─▶ loss        maximum have a loss of weight 1
└─ x0.5  ─▶ logits, x2   ┼─▶ loss
max ◀─┴─▶ loss
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.dilated import Dilated
from segtasks.training.recipes import Settings


class TrainingModule(nn.Module):
    """Gives all the logits that have a loss.

    Attributes:
        network: what is trained.
        loss_weights: one for each of `forward`'s logits.
    """

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.network = network
        self._scales = settings.loss_scales
        self.loss_weights = self._weights(settings)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, C, H, W) -> logits (N, K, H, W), the network's own first."""
        network = self.network
        if isinstance(network, Dilated) and network.auxiliary is not None:
            return network.training_logits(images)
        if self._scales == (1.0,):
            return (network(images),)
        logits = [_at_scale(network, images, scale) for scale in self._scales]
        return *logits, torch.stack(logits).amax(0)

    def _weights(self, settings: Settings) -> tuple[float, ...]:
        if isinstance(self.network, Dilated) and self.network.auxiliary is not None:
            return 1.0, settings.auxiliary_weight
        return (1.0,) if self._scales == (1.0,) else (1.0,) * (len(self._scales) + 1)


def _at_scale(network: nn.Module, images: Tensor, scale: float) -> Tensor:
    """Logits of the image at a scale, at the image's own size; corners on corners, as Caffe."""
    if scale == 1:
        whole: Tensor = network(images)
        return whole
    size = [max(1, round((side - 1) * scale)) + 1 for side in images.shape[-2:]]
    logits = network(_resized(images, size))
    return _resized(logits, list(images.shape[-2:]))


def _resized(x: Tensor, size: list[int]) -> Tensor:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)
