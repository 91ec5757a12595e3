"""RefineNet, 4-cascaded. Lin et al. 2017, arXiv:1611.06612, fig. 2c; code of guosheng/refinenet.

    input (32k) -> 7x7, max -> layer1 1/4 -> layer2 1/8 -> layer3 1/16 -> layer4 1/32
                                  |             |             |              |
                               refine1 <- x2 refine2 <- x2 refine3 <- x2 refine4
                               256           256           256           512
    output (32k) <- x4 <- 3x3 <---'

Patches must start on multiples of 32. The exact halo is more than 1500 px.
"""

from torch import Tensor, nn

from segtasks.networks.architectures.doubling import Doubling
from segtasks.networks.architectures.fcn import enlarge
from segtasks.networks.architectures.layers import initialise, narrow, pad_to
from segtasks.networks.architectures.refine_block import ChainedPooling, Fusion, RefineBlock
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet


class RefineNet(ResNet):
    """RefineNet of one input scale, for inputs of any size.

    State dict keys: the trunk's, ``refine4`` (the deepest) ... ``refine1``, ``classifier``.

    Args:
        classes: K.
        bands: C.
        width: multiplier of every channel count.
        depth: of the ResNet. Its stages halve the map in the 3x3; whether MatConvNet's do it in
            the first 1x1 was not found.
        chained_pools: length of the chains of pools.
        pool_first: pool -> convolution as in the paper; False: the "improved" blocks of the
            released code.
        upsampling: of deeper maps before the sum: bicubic (published), bilinear, align_corners
            (DrSleep's implementation).
    """

    def __init__(
        self,
        *,
        classes: int,
        bands: int = 3,
        width: float = 1.0,
        depth: int,
        chained_pools: int = 4,
        pool_first: bool = True,
        upsampling: str = "bicubic",
    ) -> None:
        super().__init__(Form(depth), bands=bands, width=width)
        taps = [narrow(channels, width) for channels in STAGE_CHANNELS]
        wide, channels = narrow(512, width), narrow(256, width)

        def pooling(D: int) -> ChainedPooling:
            return ChainedPooling(D, chained_pools, pool_first=pool_first)

        def fusing(tap: int, deeper: int) -> RefineBlock:
            fusion = Fusion(deeper, channels, Doubling(upsampling))
            return RefineBlock(tap, channels, pooling(channels), fusion)

        self.refine4 = RefineBlock(taps[3], wide, pooling(wide))
        self.refine3 = fusing(taps[2], wide)
        self.refine2 = fusing(taps[1], channels)
        self.refine1 = fusing(taps[0], channels)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(channels, classes, 3, padding=1)
        initialise(self, score_prefixes=("refine", "classifier"))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, 8k, 8l) at 1/4, of the input padded to the next 32k."""
        first, second, third, fourth = self.stages(pad_to(x, 32, 0))
        y = self.refine4(self.dropout(fourth))
        y = self.refine3(self.dropout(third), y)
        y = self.refine1(first, self.refine2(second, y))
        logits: Tensor = self.classifier(self.dropout(y))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W); the last enlargement is bilinear, half-pixel."""
        return enlarge(self.coarse_logits(x), 4.0)[:, :, : x.shape[2], : x.shape[3]]
