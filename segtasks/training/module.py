"""A network as it is trained: with its auxiliary head, or at several scales.

    image ─┬─ x1    ─▶ logits ───────┬─▶ loss
           ├─ x0.75 ─▶ logits, x4/3 ─┼─▶ loss
           └─ x0.5  ─▶ logits, x2   ─┼─▶ loss
                                     └─▶ max ─▶ loss

Each scale and their maximum have a loss of weight 1 (DeepLab v2, sec. 4.1).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.dilated import Dilated
from segtasks.training.recipes import Settings


class TrainingModule(nn.Module):
    """Wraps a network so that it returns all logits that enter the loss.

    Attributes:
        network: the network that is trained.
        loss_weights: the weight of the loss of each of `forward`'s logits.
    """

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.network = network
        self._scales = settings.loss_scales
        if isinstance(network, Dilated) and network.auxiliary is not None:
            self.loss_weights: tuple[float, ...] = (1.0, settings.auxiliary_weight)
        elif self._scales == (1.0,):
            self.loss_weights = (1.0,)
        else:
            self.loss_weights = (1.0,) * (len(self._scales) + 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute logits (N, K, H, W) of images (N, C, H, W), the network's own logits first."""
        network = self.network
        if isinstance(network, Dilated) and network.auxiliary is not None:
            return network.training_logits(images)
        if self._scales == (1.0,):
            return (network(images),)
        logits = [_at_scale(network, images, scale) for scale in self._scales]
        return *logits, torch.stack(logits).amax(0)


def _at_scale(network: nn.Module, images: Tensor, scale: float) -> Tensor:
    """Compute the logits of the rescaled images, resized back to the images' size.

    Corner pixels are aligned, as Caffe does it.
    """
    if scale == 1:
        logits: Tensor = network(images)
        return logits
    size = [max(1, round((side - 1) * scale)) + 1 for side in images.shape[-2:]]
    logits = network(_resized(images, size))
    return _resized(logits, list(images.shape[-2:]))


def _resized(x: Tensor, size: list[int]) -> Tensor:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)
