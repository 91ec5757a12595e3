"""RefineNet, 4-cascaded. Lin et al. 2017, arXiv:1611.06612, fig. 2c; code of guosheng/refinenet.

    input (32k) -> 7x7, max -> layer1 1/4 -> layer2 1/8 -> layer3 1/16 -> layer4 1/32
                                  |             |             |              |
                               refine1 <- x2 refine2 <- x2 refine3 <- x2 refine4
                               256           256           256           512
    output (32k) <- x4 <- 3x3 <---'

    at output stride 1:  input -> 3x3, 64 -> 3x3, 64 -> fifth block, 64 <- x4 refine1
                         output (32k) <------- 3x3 <--------'

The published network stops at 1/4: its blocks of 256 channels would cost 16 times as much at 1/1.
The path at 1/1 is not published. It follows a configuration that is commented out in the released
code ("imgraw", two blocks of 64 channels on the raw image); 64 channels make it affordable.
Patches must start on multiples of 32. The exact halo is more than 1600 px. The published weights
take images enlarged 1.2 times: run them at scale 1.2.
"""

import math

from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks.architectures.fcn import enlarge
from segtasks.networks.architectures.layers import ConvBnRelu, initialise, narrow, pad_to
from segtasks.networks.architectures.refine_block import Style, refine_block
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet

_PUBLISHED_STRIDE = 4


class RefineNet(ResNet):
    """RefineNet of one input scale, for inputs of any size.

    State-dict keys: those of the trunk, ``refine4`` (deepest) ... ``refine1``, ``classifier``; at
    output stride 1 also ``finest.conv1``, ``finest.conv2``, ``finest.refine``.

    Args:
        classes: number of classes.
        bands: number of input bands.
        width: multiplier of every channel count.
        depth: depth of the ResNet. Its stages halve the map in the 3x3; whether MatConvNet halves
            it in the first 1x1 is not known.
        output_stride: 4 (published) or 1.
        chained_pools: length of the chains of pools.
        pool_first: pool before each convolution, as in the paper; False gives the "improved"
            blocks of the released code.
        upsampling: upsampling of deeper maps before the sum: bicubic (published), bilinear or
            align_corners (DrSleep's implementation).
    """

    def __init__(
        self,
        *,
        classes: int,
        bands: int = 3,
        width: float = 1.0,
        depth: int,
        output_stride: int = 4,
        chained_pools: int = 4,
        pool_first: bool = True,
        upsampling: str = "bicubic",
    ) -> None:
        super().__init__(Form(depth), bands=bands, width=width)
        style = Style(chained_pools, upsampling, pool_first=pool_first)
        first, second, third, fourth = (narrow(tap, width) for tap in STAGE_CHANNELS)
        wide, channels = narrow(512, width), narrow(256, width)
        self.refine4 = refine_block(fourth, wide, style)
        self.refine3 = refine_block(third, channels, style, deeper=wide)
        self.refine2 = refine_block(second, channels, style, deeper=channels)
        self.refine1 = refine_block(first, channels, style, deeper=channels)
        self.output_stride = output_stride
        self.finest = _finest_path(output_stride, bands, width, style)
        last = narrow(64, width) if self.finest else channels
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(last, classes, 3, padding=1)
        # N(0, 0.01) of the paper, scaled to keep the gain at any width: He-normal diverges here,
        # without BatchNorm.
        prefixes = ("refine", "finest.refine", "classifier")
        initialise(self, score_prefixes=prefixes, score_std=0.01 / math.sqrt(width))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits at the output stride of the input padded to the next 32k."""
        padded = pad_to(x, 32, 0)
        first, second, third, fourth = self.stages(padded)
        y = self.refine4(self.dropout(fourth))
        y = self.refine3(self.dropout(third), y)
        y = self.refine1(first, self.refine2(second, y))
        if self.finest is not None:
            y = self.finest(padded, y)
        logits: Tensor = self.classifier(self.dropout(y))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W); the last upsampling is bilinear, half-pixel."""
        logits = self.coarse_logits(x)
        if self.output_stride > 1:
            logits = enlarge(logits, float(self.output_stride))
        return logits[:, :, : x.shape[2], : x.shape[3]]


class FinestPath(nn.Module):
    """The path at 1/1: two convolutions of the raw image and a fifth block."""

    def __init__(self, bands: int, width: float, style: Style) -> None:
        super().__init__()
        channels, deeper = narrow(64, width), narrow(256, width)
        self.conv1 = ConvBnRelu(bands, channels, 3, padding=1)
        self.conv2 = ConvBnRelu(channels, channels, 3, padding=1)
        self.refine = refine_block(channels, channels, style, deeper=deeper, doublings=2)

    def forward(self, x: Tensor, deeper: Tensor) -> Tensor:
        """The image (N, C, H, W) and a map (N, E, H/4, W/4) -> (N, D, H, W)."""
        y: Tensor = self.refine(self.conv2(self.conv1(x)), deeper)
        return y


def _finest_path(output_stride: int, bands: int, width: float, style: Style) -> FinestPath | None:
    """Return the path for an output stride of 1; None for the published stride of 4."""
    if output_stride == 1:
        return FinestPath(bands, width, style)
    if output_stride == _PUBLISHED_STRIDE:
        return None
    raise ModelError(f"output_stride is {output_stride}; choose 4 (published) or 1")
