"""DeepLab v2 on ResNet-101. Chen et al. 2018, arXiv:1606.00915, sec. 3.3 and 4.1; its prototxt.

    input (8k+1) -> stem, max /4 -> layer1 -> layer2 /8 -> layer3 d2 -> layer4 d4 /8
                 -> 3x3 d6 + 3x3 d12 + 3x3 d18 + 3x3 d24 -> x8 align_corners -> output (8k+1)

The published result is the maximum of the logits at scales 1, 0.75 and 0.5. This network is one
scale; test-time augmentation adds the others.
"""

import torch
from torch import Tensor, nn

from segtasks.networks.architectures.dilated import Dilated
from segtasks.networks.architectures.layers import initialise, narrow
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form

_RATES = (6, 12, 18, 24)


class DeepLabV2ResNet(Dilated):
    """The summed ASPP on a ResNet in Caffe's form.

    State-dict keys: those of the trunk, then ``aspp.0`` ... ``aspp.3`` in the order of the rates.
    """

    def __init__(self, *, classes: int, bands: int = 3, width: float = 1.0, depth: int) -> None:
        form = Form(depth, stride_at="1x1", dilations=(1, 1, 2, 4), ceil_pool=True)
        super().__init__(form, bands=bands, width=width, aligned=True)
        deepest = narrow(STAGE_CHANNELS[3], width)
        self.aspp = nn.ModuleList(
            nn.Conv2d(deepest, classes, 3, padding=rate, dilation=rate) for rate in _RATES
        )
        initialise(self, score_prefixes=("aspp",))

    def decode(self, features: Tensor) -> Tensor:
        """(N, 2048, h, w) -> logits (N, K, h, w)."""
        return torch.stack([branch(features) for branch in self.aspp]).sum(dim=0)
