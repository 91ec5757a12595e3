"""The PSPNet of segmentation-models-pytorch 0.6: another network than the paper's.

    input (8k) -> 7x7 -> max /4 -> layer1 -> layer2 /8 ----------------------------------.
                          pool to 1, 2, 3, 6 bins -> 1x1, 128 each -> spread -> concat <-+
    output (8k) <- x8 align_corners <- 3x3 to classes <- 1x1, 512 <---------------'

It looks at 1/8 of a shallow trunk, 1x1 in place of 3x3 joins the map (last) with its context, and
the zoom depends on the size: tiles are exact at no halo, pooled over the whole or not.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures import pyramid
from segtasks.networks.architectures.layers import (
    ConvBnRelu,
    ConvRelu,
    initialise,
    narrow,
    pad_to,
)
from segtasks.networks.architectures.pyramid import Grids, Pyramid
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet


class SmpPSPNet(ResNet):
    """Its state dict holds layer3 and layer4, which never run and are frozen here.

    State dict keys: the trunk's, ``ppm.convs.0`` (with a bias and no BatchNorm) ...
    ``ppm.convs.3``, ``conv``, ``classifier``.
    """

    def __init__(
        self, *, classes: int, bands: int = 3, width: float = 1.0, depth: int, dropout: float = 0.2
    ) -> None:
        super().__init__(Form(depth), bands=bands, width=width)
        self.layer3.requires_grad_(requires_grad=False)
        self.layer4.requires_grad_(requires_grad=False)
        second, pooled = narrow(STAGE_CHANNELS[1], width), narrow(128, width)
        inner = narrow(512, width)
        rest = (ConvBnRelu(second, pooled, 1) for _ in range(3))
        self.ppm = Pyramid([ConvRelu(second, pooled, 1), *rest], aligned=True)
        self.conv = ConvBnRelu(second + 4 * pooled, inner, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(inner, classes, 3, padding=1)
        initialise(self, score_prefixes=("classifier",))

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 512, k, l) of the input padded to the next 8k."""
        y: Tensor = self.layer2(self.layer1(self.stem(pad_to(x, 8, 0))))
        return y

    def head(self, features: Tensor, grids: Grids) -> Tensor:
        """(N, 512, k, l) and its grids -> logits (N, K, k, l)."""
        parts = self.ppm(features, grids, None)
        parts.append(features)
        logits: Tensor = self.classifier(self.dropout(self.conv(torch.cat(parts, dim=1))))
        return logits

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, k, l) of the input padded to the next 8k."""
        features = self.features(x)
        return self.head(features, pyramid.pool(features, None))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        coarse = self.coarse_logits(x)
        y = functional.interpolate(coarse, scale_factor=8.0, mode="bilinear", align_corners=True)
        return y[:, :, : x.shape[2], : x.shape[3]]
