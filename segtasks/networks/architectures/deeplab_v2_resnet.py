"""DeepLab v2 on ResNet-101. Chen et al. 2018, arXiv:1606.00915, sec. 4.1.2 and 4.4; its prototxt.

    input (8k+1) -> stem, max /4 -> layer1 -> layer2 /8 -> layer3 d2 -> layer4 d4 /8
                 -> 3x3 d6 + 3x3 d12 + 3x3 d18 + 3x3 d24 -> x8 align_corners -> output (8k+1)

The published answer is the maximum of the logits at scales 1, 0.75 and 0.5; this is one scale.
Units lie on pixels 0, 8, 16, ...: patches must start on multiples of 8.
"""

import torch
from torch import Tensor, nn

from segtasks.networks.architectures.layers import enlarge_aligned, initialise, narrow, pad_to
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet

_RATES = (6, 12, 18, 24)


class DeepLabV2ResNet(ResNet):
    """The summed ASPP head on a ResNet in Caffe's form, for inputs of any size.

    State dict keys: the trunk's, then ``aspp.0`` ... ``aspp.3``, in the order of the rates.
    """

    def __init__(self, *, classes: int, bands: int = 3, width: float = 1.0, depth: int) -> None:
        form = Form(depth, stride_at="1x1", dilations=(1, 1, 2, 4), ceil_pool=True)
        super().__init__(form, bands=bands, width=width)
        deepest = narrow(STAGE_CHANNELS[-1], width)
        self.aspp = nn.ModuleList(
            nn.Conv2d(deepest, classes, 3, padding=rate, dilation=rate) for rate in _RATES
        )
        initialise(self, score_prefixes=("aspp",))

    def features(self, x: Tensor) -> Tensor:
        """(N, C, 8k+1, 8l+1) -> (N, 2048, k+1, l+1)."""
        return self.stages(x)[3]

    def head(self, x: Tensor) -> Tensor:
        """(N, 2048, k+1, l+1) -> logits (N, K, k+1, l+1)."""
        return torch.stack([branch(x) for branch in self.aspp]).sum(dim=0)

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, k+1, l+1) of the input padded to the next 8k+1."""
        return self.head(self.features(pad_to(x, 8, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        logits = enlarge_aligned(self.coarse_logits(x), 8)
        return logits[:, :, : x.shape[2], : x.shape[3]]
