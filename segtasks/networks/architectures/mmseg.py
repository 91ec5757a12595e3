"""FCN and DeepLab v3 on ResNets as in mmsegmentation, the configurations named r50-d8, r101-d8.

    input (8k) -> 3x3 32, 32, 64 -> max /4 -> layer1 -> layer2 /8 -> layer3 d2 -> layer4 d4 /8
                                                 auxiliary head, in training <-'         |
    head of FCN      3x3, 512 -> 3x3, 512, appended to the map ----> 3x3, 512 -> 1x1    <-+
    head of DeepLab  mean of the map + 1x1 + 3x3 d12 + d24 + d36, 512 each --> 3x3, 512 -> 1x1
    output (8k) <- x8

Channels, rates and dropout: open-mmlab/mmsegmentation (Apache-2.0):configs/_base_/models/
{fcn,deeplabv3}_r50-d8.py, mmseg/models/decode_heads/{fcn_head,aspp_head}.py. The first block of
layer3 is not dilated and that of layer4 by 2 only; upsampling is half-pixel. Configurations for
crops of 769 px, which upsample with aligned corners, are not supported. DeepLab's mean is global.
Both heads are those of Chen et al. 2017, arXiv:1706.05587.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from segtasks.networks.architectures.aspp import Branches
from segtasks.networks.architectures.dilated import Dilated, auxiliary_head, resnet_v1c
from segtasks.networks.architectures.heads import ConvHead
from segtasks.networks.architectures.layers import ConvBnRelu, initialise, narrow
from segtasks.networks.architectures.resnet import STAGE_CHANNELS


class MmsegNet(Dilated):
    """FCN of one scale, or DeepLab v3.

    State-dict keys: those of the trunk, ``main.conv``, ``main.classifier`` and, with
    ``auxiliary=True``, ``auxiliary.conv``, ``auxiliary.classifier``; for FCN also
    ``context.convs.0``, ``context.convs.1``, for DeepLab ``context.branches.0`` ...
    ``.3`` and ``context.mean``.
    """

    def __init__(
        self,
        *,
        classes: int,
        bands: int = 3,
        width: float = 1.0,
        depth: int,
        head: Literal["fcn", "deeplab_v3"],
        auxiliary: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            resnet_v1c(depth),
            bands=bands,
            width=width,
            aligned=False,
            auxiliary=auxiliary_head(classes, width, nn.Dropout2d(dropout)) if auxiliary else None,
        )
        deepest, inner = narrow(STAGE_CHANNELS[3], width), narrow(512, width)
        if head == "fcn":
            self.context: nn.Module = TwoConvs(deepest, inner)
            joined = deepest + inner
        else:
            self.context = Branches(deepest, inner, mean_first=True)
            joined = 5 * inner
        self.main = ConvHead(joined, inner, classes, nn.Dropout2d(dropout))
        initialise(self, score_prefixes=("main.classifier", "auxiliary.classifier"))

    def decode(self, features: Tensor) -> Tensor:
        """(N, 2048, h, w) -> logits (N, K, h, w)."""
        y: Tensor = self.main(self.context(features))
        return y


class TwoConvs(nn.Module):
    """The map and its 3x3, 3x3, concatenated: (N, C, h, w) -> (N, C + D, h, w). Keys ``convs``."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            ConvBnRelu(channels, inner, 3, padding=1), ConvBnRelu(inner, inner, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C + D, h, w)."""
        return torch.cat((x, self.convs(x)), dim=1)
