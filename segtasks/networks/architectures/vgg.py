"""The thirteen convolutions of VGG16. Simonyan & Zisserman 2015, arXiv:1409.1556, column D.

The pools belong to the architectures: FCN pools 2x2, DeepLab 3x3. Names are those of Caffe, flat in
the state dict, so that published weights fit without renaming.
"""

from functools import partial
from typing import TYPE_CHECKING, TypedDict

from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]  # stub gap

from segtasks.networks.architectures.layers import conv_relu, in_strips, narrow


class Options(TypedDict, total=False):
    """Options of every network on VGG16, in addition to the number of classes."""

    bands: int
    width: float
    batch_norm: bool
    dropout: float


class VGG16(nn.Module):
    """Convolutions conv1_1 ... conv5_3, each 3x3 with ReLU; bands -> 512 * width channels.

    Args:
        bands: input channels.
        width: multiplier of every channel count.
        batch_norm: BatchNorm after each convolution; it is not in the published network, but needed
            to train narrow networks from scratch.
        first_padding: zero padding of conv1_1, px (FCN pads 100).
        padding: zero padding of the other convolutions, in multiples of their dilation (0 in
            Dilation).
        last_dilation: dilation of conv5_x (2 in DeepLab).
    """

    surplus_rows = 0
    """Rows that pool1 and pool2 give in addition to half of their input rows, rounded up."""

    if TYPE_CHECKING:  # TorchScript cannot read these annotations
        pool1: nn.MaxPool2d
        """set by the architectures"""
        pool2: nn.MaxPool2d

    def __init__(
        self,
        *,
        bands: int,
        width: float,
        batch_norm: bool,
        first_padding: int = 1,
        padding: int = 1,
        last_dilation: int = 1,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4 = (narrow(channels, width) for channels in (64, 128, 256, 512))
        conv = partial(conv_relu, kernel_size=3, padding=padding, batch_norm=batch_norm)
        atrous = partial(conv, padding=padding * last_dilation, dilation=last_dilation)
        # A separate padding layer, because strips of the image must not be padded each.
        self.frame = nn.ZeroPad2d(first_padding - padding)
        self.conv1_1 = conv(bands, c1)
        self.conv1_2 = conv(c1, c1)
        self.conv2_1 = conv(c1, c2)
        self.conv2_2 = conv(c2, c2)
        self.conv3_1 = conv(c2, c3)
        self.conv3_2 = conv(c3, c3)
        self.conv3_3 = conv(c3, c3)
        self.conv4_1 = conv(c3, c4)
        self.conv4_2 = conv(c4, c4)
        self.conv4_3 = conv(c4, c4)
        self.conv5_1 = atrous(c4, c4)
        self.conv5_2 = atrous(c4, c4)
        self.conv5_3 = atrous(c4, c4)

    def to_pool1(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 64, H/2, W/2)."""
        x = self.frame(x)
        if is_scripting():
            return self.stage1(x)
        return in_strips(self.stage1, x, stride=2, halo=4, surplus=self.surplus_rows)

    def to_pool2(self, pool1: Tensor) -> Tensor:
        """(N, 64, H/2, W/2) -> (N, 128, H/4, W/4)."""
        if is_scripting():
            return self.stage2(pool1)
        return in_strips(self.stage2, pool1, stride=2, halo=4, surplus=self.surplus_rows)

    def stage1(self, x: Tensor) -> Tensor:
        """Run block 1 and its pool."""
        y: Tensor = self.pool1(self.block1(x))
        return y

    def stage2(self, x: Tensor) -> Tensor:
        """Run block 2 and its pool."""
        y: Tensor = self.pool2(self.block2(x))
        return y

    def block1(self, x: Tensor) -> Tensor:
        """Two convolutions: bands -> 64."""
        y: Tensor = self.conv1_2(self.conv1_1(x))
        return y

    def block2(self, x: Tensor) -> Tensor:
        """Two convolutions: 64 -> 128."""
        y: Tensor = self.conv2_2(self.conv2_1(x))
        return y

    def block3(self, x: Tensor) -> Tensor:
        """Three convolutions: 128 -> 256."""
        y: Tensor = self.conv3_3(self.conv3_2(self.conv3_1(x)))
        return y

    def block4(self, x: Tensor) -> Tensor:
        """Three convolutions: 256 -> 512."""
        y: Tensor = self.conv4_3(self.conv4_2(self.conv4_1(x)))
        return y

    def block5(self, x: Tensor) -> Tensor:
        """Three convolutions: 512 -> 512."""
        y: Tensor = self.conv5_3(self.conv5_2(self.conv5_1(x)))
        return y
