"""FCN and DeepLab v3 on ResNets as in torchvision. Chen et al. 2017, arXiv:1706.05587, fig. 5.

    input (8k) -> 7x7, max /4 -> layer1 -> layer2 /8 -> layer3 d2 -> layer4 d4 /8 -> head -> x8
                                                          '-> auxiliary head, in training

    head of FCN      3x3, 512 -> 1x1
    head of DeepLab  1x1 + 3x3 d12 + 3x3 d24 + 3x3 d36 + mean of the map, 256 each, concatenated
                     -> 1x1, 256 -> 3x3, 256 -> 1x1

The first block of layer3 is not dilated and that of layer4 by 2 only. Upsampling is half-pixel.
DeepLab's mean is global, so no halo makes its tiles exact.
"""

from typing import Literal

from torch import Tensor, nn

from segtasks.networks.architectures.aspp import ASPP
from segtasks.networks.architectures.dilated import Dilated, auxiliary_head
from segtasks.networks.architectures.heads import ConvHead
from segtasks.networks.architectures.layers import initialise, narrow
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form


class TorchvisionNet(Dilated):
    """FCN of one scale, or DeepLab v3.

    State-dict keys: those of the trunk, ``main.conv``, ``main.classifier`` and, with
    ``auxiliary=True``, ``auxiliary.conv``, ``auxiliary.classifier``; for DeepLab also
    ``aspp.branches.0`` ... ``.3``, ``aspp.mean`` and ``aspp.project``.
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
    ) -> None:
        super().__init__(
            Form(depth, dilations=(1, 1, 2, 4), contracted=True),
            bands=bands,
            width=width,
            aligned=False,
            auxiliary=auxiliary_head(classes, width, nn.Dropout(0.1)) if auxiliary else None,
        )
        deepest = narrow(STAGE_CHANNELS[3], width)
        self.aspp: nn.Module = nn.Identity()
        if head == "fcn":
            self.main = ConvHead(deepest, narrow(512, width), classes, nn.Dropout(0.1))
        else:
            inner = narrow(256, width)
            self.aspp = ASPP(deepest, inner)
            self.main = ConvHead(inner, inner, classes, nn.Identity())
        initialise(self, score_prefixes=("main.classifier", "auxiliary.classifier"))

    def decode(self, features: Tensor) -> Tensor:
        """(N, 2048, h, w) -> logits (N, K, h, w)."""
        y: Tensor = self.main(self.aspp(features))
        return y
