"""PSPNet. Zhao et al. 2017, arXiv:1612.01105, fig. 3; as in hszhao/semseg.

    input (8k+1) -> 3x3 64, 64, 128 -> max /4 -> layer1 -> layer2 /8 -> layer3 d2 -> layer4 d4 /8
                                                                           |           |
                                                          auxiliary head <-'   .-------+
                            pool to 1, 2, 3, 6 bins -> 1x1, 512 each -> spread         |
    output (8k+1) <- x8 align_corners <- 1x1 <- 3x3, 512 <----------------- concat <---'

Pooling is global, so no halo makes tiles exact. `features`, `pool` and `head` split the network for
two passes over a large image: pool all patches first, then run the head patch by patch. This is
exact with the halo of the other layers (248 px for 50 layers, 520 px for 101).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from segtasks.networks.architectures import pyramid
from segtasks.networks.architectures.dilated import Dilated, auxiliary_head, resnet_v1c
from segtasks.networks.architectures.heads import ConvHead
from segtasks.networks.architectures.layers import ConvBnRelu, initialise, narrow
from segtasks.networks.architectures.pyramid import Grids, Place, Pyramid
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form


class PSPNet(Dilated):
    """PSPNet as published, or as in mmsegmentation: another stem, first dilations and upsampling.

    Caffe's network of 50 layers (ADE20K) halves the map of layer2 in the first 1x1; its networks of
    101 layers and all those of semseg halve it in the 3x3.

    State-dict keys: those of the trunk, ``ppm.convs.0`` ... ``ppm.convs.3``, ``main.conv``,
    ``main.classifier`` and, with ``auxiliary=True``, ``auxiliary.conv``, ``auxiliary.classifier``.
    The concatenation is the map, then bins 1, 2, 3, 6 (in Caffe the map, 6, 3, 2, 1).
    """

    def __init__(
        self,
        *,
        classes: int,
        bands: int = 3,
        width: float = 1.0,
        depth: int,
        layout: Literal["semseg", "mmseg", "caffe50"] = "semseg",
        auxiliary: bool = False,
        dropout: float = 0.1,
    ) -> None:
        published = layout != "mmseg"
        super().__init__(
            _form(depth, layout),
            bands=bands,
            width=width,
            aligned=published,
            auxiliary=auxiliary_head(classes, width, nn.Dropout2d(dropout)) if auxiliary else None,
        )
        deepest, inner = narrow(STAGE_CHANNELS[3], width), narrow(512, width)
        convs = [ConvBnRelu(deepest, inner, 1) for _ in range(4)]
        self.ppm = Pyramid(convs, aligned=published)
        self.main = ConvHead(deepest + 4 * inner, inner, classes, nn.Dropout2d(dropout))
        initialise(self, score_prefixes=("main.classifier", "auxiliary.classifier"))

    def pool(self, features: Tensor, place: Place | None = None) -> Grids:
        """(N, 2048, h, w) -> four grids of averages, or the contributions of a piece to them."""
        return pyramid.pool(features, place)

    def head(self, features: Tensor, grids: Grids, place: Place | None = None) -> Tensor:
        """(N, 2048, h, w), the piece at ``place``, with the grids -> logits (N, K, h, w)."""
        parts = self.ppm(features, grids, place)
        parts.insert(0, features)
        logits: Tensor = self.main(torch.cat(parts, dim=1))
        return logits

    def decode(self, features: Tensor) -> Tensor:
        """(N, 2048, h, w) -> logits (N, K, h, w)."""
        return self.head(features, self.pool(features))


def _form(depth: int, layout: Literal["semseg", "mmseg", "caffe50"]) -> Form:
    """Return the form of the trunk; mmsegmentation uses ResNetV1c."""
    if layout == "mmseg":
        return resnet_v1c(depth)
    stride_at: Literal["1x1", "3x3"] = "1x1" if layout == "caffe50" else "3x3"
    return Form(depth, stem=(64, 64, 128), stride_at=stride_at, dilations=(1, 1, 2, 4))
