"""PSPNet and DeepLab v3 of segmentation-models-pytorch 0.6, which differ from the papers.

    PSPNet
    input (8k) -> 7x7 -> max /4 -> layer1 -> layer2 /8 ----------------------------------.
                          pool to 1, 2, 3, 6 bins -> 1x1, 128 each -> spread -> concat <-+
    output (8k) <- x8 align_corners <- 3x3 to classes <- 1x1, 512 <---------------'

    DeepLab v3
    input (8k) -> 7x7 -> max /4 -> layer1 -> layer2 /8 -> layer3 d2 -> layer4 d4 /8 --.
    output (8k) <- x8 align_corners <- 1x1 to classes <- 3x3, 256 <- ASPP, 256 <------'

PSPNet uses the map at 1/8 of a shallow trunk, and a 1x1 instead of a 3x3 combines the context with
the map, which comes last. DeepLab's weights have torchvision's shapes, but all blocks of layer3
dilate by 2 and all of layer4 by 4, the first ones too. The positions in the upsampling of both
depend on the size, so tiles are exact at no halo, whether pooled over the raster or not.

Source: qubvel-org/segmentation_models.pytorch (MIT; decoders/deeplabv3/decoder.py BSD-3):
decoders/deeplabv3/{model,decoder}.py, base/heads.py, encoders/_utils.py.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures import pyramid
from segtasks.networks.architectures.aspp import ASPP
from segtasks.networks.architectures.dilated import Dilated
from segtasks.networks.architectures.heads import ConvHead
from segtasks.networks.architectures.layers import ConvBnRelu, ConvRelu, initialise, narrow, pad_to
from segtasks.networks.architectures.pyramid import Grids, Pyramid
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet


class SmpPSPNet(ResNet):
    """PSPNet after Zhao et al. 2017, arXiv:1612.01105; layer3 and layer4 are unused and frozen.

    State-dict keys: those of the trunk, ``ppm.convs.0`` (with a bias and no BatchNorm) ...
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
        """(N, 512, k, l) with its grids -> logits (N, K, k, l)."""
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
        return _enlarge_aligned_to_8k(self.coarse_logits(x), x)


class SmpDeepLabV3(Dilated):
    """DeepLab v3 at output stride 8, after Chen et al. 2017, arXiv:1706.05587.

    State-dict keys: those of the trunk, ``aspp.branches.0`` ... ``.3``, ``aspp.mean``,
    ``aspp.project``, ``main.conv``, ``main.classifier``.
    """

    def __init__(
        self, *, classes: int, bands: int = 3, width: float = 1.0, depth: int, dropout: float = 0.5
    ) -> None:
        form = Form(depth, dilations=(1, 1, 2, 4))
        super().__init__(form, bands=bands, width=width, aligned=False)
        deepest, inner = narrow(STAGE_CHANNELS[3], width), narrow(256, width)
        self.aspp = ASPP(deepest, inner, dropout=dropout)
        self.main = ConvHead(inner, inner, classes, nn.Identity())
        initialise(self, score_prefixes=("main.classifier",))

    def decode(self, features: Tensor) -> Tensor:
        """(N, 2048, k, l) -> logits (N, K, k, l)."""
        y: Tensor = self.main(self.aspp(features))
        return y

    def enlarge(self, coarse: Tensor, x: Tensor) -> Tensor:
        """Upsample (N, K, k, l) to (N, K, H, W), the size of ``x``."""
        return _enlarge_aligned_to_8k(coarse, x)


def _enlarge_aligned_to_8k(coarse: Tensor, x: Tensor) -> Tensor:
    """Upsample (N, K, k, l) to (N, K, 8 k, 8 l) with aligned corners, cropped to ``x``."""
    y = functional.interpolate(coarse, scale_factor=8.0, mode="bilinear", align_corners=True)
    return y[:, :, : x.shape[2], : x.shape[3]]
