"""RefineNet, 4-cascaded, of two input scales. Lin et al. 2017, arXiv:1611.06612, sec. 4.3.

    input (64k) ----> ResNet          layer1 1/4    layer2 1/8    layer3 1/16   layer4 1/32
      |                                  |             |              |             |
      |                               refine1 <- x2 refine2 <- x2  refine3 <- x2 refine4
      |                                 ^ 256         ^ 256          ^ 256         ^ 512
      |                                 | x2          | x2           | x2          | x2
      '-> half -> another ResNet      layer1 1/8    layer2 1/16   layer3 1/32   layer4 1/64
    output (64k) <- x4 <- 3x3 <- refine1

The paper runs two ResNets with separate weights on the image at 1.2 and 0.6 of its size. The ratio
of 2 is built in here: patches start on multiples of 64, and the small image is half of the input,
where the authors resized the original by 0.6. As for `RefineNet`, the factor 1.2 is not part of the
network: run it at scale 1.2, where patches start on multiples of 160, so that 1.2 and 0.6 of their
origin are multiples of 32.

The authors' code has eight paths in groups 1 2 3 4, 1 2 3 4: a block gets the maps of one stage of
both ResNets, and the output of the deeper block. The paper's block (fig. 3) for three inputs has
separate convolutions per path and sums all paths at the size of the largest. The order of the sum
and the names of the layers of both trunks are not known, so there is no layout to import.
googleinterns/out-of-distribution interprets the figure differently: maps of one resolution share a
block, and the first map of the small image is not used.
"""

import math

from torch import Tensor, nn

from segtasks.networks.architectures.doubling import Doubling
from segtasks.networks.architectures.fcn import enlarge
from segtasks.networks.architectures.halving import Halving
from segtasks.networks.architectures.layers import initialise, narrow, pad_to
from segtasks.networks.architectures.refine_block import Style, conv3x3, residual_units
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet


class RefineNet2Scale(ResNet):
    """RefineNet of two input scales, for inputs of any size.

    State-dict keys: those of the trunk, the same under ``small.`` for the small image, ``refine4``
    (deepest) ... ``refine1``, ``classifier``.

    Args:
        classes: number of classes.
        bands: number of input bands.
        width: multiplier of every channel count.
        depth: depth of both ResNets.
        chained_pools: length of the chains of pools.
        pool_first: pool before each convolution, as in the paper; False gives the "improved"
            blocks.
        upsampling: upsampling of coarser maps before the sum: bicubic (published), bilinear or
            align_corners.
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
        self.halve = Halving()
        self.small = ResNet(Form(depth), bands=bands, width=width)
        style = Style(chained_pools, upsampling, pool_first=pool_first)
        first, second, third, fourth = (narrow(tap, width) for tap in STAGE_CHANNELS)
        wide, channels = narrow(512, width), narrow(256, width)
        self.refine4 = PairBlock(fourth, wide, style)
        self.refine3 = PairBlock(third, channels, style, deeper=wide)
        self.refine2 = PairBlock(second, channels, style, deeper=channels)
        self.refine1 = PairBlock(first, channels, style, deeper=channels)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(channels, classes, 3, padding=1)
        # As in `RefineNet`.
        initialise(self, score_prefixes=("refine", "classifier"), score_std=0.01 / math.sqrt(width))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits at 1/4 of the input padded to the next 64k."""
        padded = pad_to(x, 64, 0)
        first, second, third, fourth = self.stages(padded)
        small1, small2, small3, small4 = self.small.stages(self.halve(padded))
        y = self.refine4(self.dropout(fourth), self.dropout(small4))
        y = self.refine3(self.dropout(third), self.dropout(small3), y)
        y = self.refine1(first, small1, self.refine2(second, small2, y))
        logits: Tensor = self.classifier(self.dropout(y))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W); the last upsampling is bilinear, half-pixel."""
        return enlarge(self.coarse_logits(x), 4.0)[:, :, : x.shape[2], : x.shape[3]]


class PairBlock(nn.Module):
    """A block for two maps. Keys ``large``, ``small``, ``deeper``, ``pooling``, ``output``."""

    def __init__(self, tap: int, channels: int, style: Style, *, deeper: int = 0) -> None:
        super().__init__()
        self.large = _path(tap, channels)
        self.small = _path(tap, channels)
        self.deeper = conv3x3(deeper, channels) if deeper else None
        self.enlarge = Doubling(style.upsampling)
        self.pooling = style.pooling(channels)
        self.output = residual_units(channels, 3)

    def forward(self, large: Tensor, small: Tensor, deeper: Tensor | None = None) -> Tensor:
        """(N, C, h, w), (N, C, h/2, w/2) and the deeper block (N, E, h/2, w/2) -> (N, D, h, w)."""
        coarse = self.small(small)
        if self.deeper is not None and deeper is not None:
            coarse = coarse + self.deeper(deeper)
        y = self.large(large).add_(self.enlarge(coarse))
        out: Tensor = self.output(self.pooling(y))
        return out


def _path(tap: int, channels: int) -> nn.Sequential:
    """Return the layers before the sum of a block: (N, C, h, w) -> (N, D, h, w)."""
    adapt = residual_units(channels, 2)
    return nn.Sequential(conv3x3(tap, channels), *adapt, conv3x3(channels, channels))
