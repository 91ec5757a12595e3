"""VGG16 at output stride 8, the backbone of DeepLab v1 and v2. Chen et al. 2015, sec. 3.1.

    pool1 /2 -> pool2 /4 -> pool3 /8 -> pool4 /8 -> conv5 d2 -> pool5 /8

"/8" is the stride of the map in pixels, "d2" a dilation of 2.
"""

from torch import Tensor, nn

from segtasks.networks.architectures.vgg import VGG16


class AtrousVGG16(VGG16):
    """VGG16 at output stride 8: pool4 and pool5 have stride 1, conv5 has dilation 2.

    Args:
        bands: input channels.
        width: multiplier of every channel count.
        batch_norm: BatchNorm after each convolution.
        pool: window of pool1 ... pool4: 2 as in VGG16, or 3, which puts units on pixels 8i.
    """

    def __init__(self, *, bands: int, width: float, batch_norm: bool, pool: int = 3) -> None:
        super().__init__(bands=bands, width=width, batch_norm=batch_norm, last_dilation=2)
        self.pool1, self.pool2, self.pool3 = (
            nn.MaxPool2d(pool, stride=2, padding=1, ceil_mode=True) for _ in range(3)
        )
        self.pool4 = nn.MaxPool2d(pool, stride=1, padding=1)
        self.pool5 = nn.MaxPool2d(3, stride=1, padding=1)

    def to_pool4(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 512, H/8, W/8)."""
        x = self.pool3(self.block3(self.to_pool2(self.to_pool1(x))))
        y: Tensor = self.pool4(self.block4(x))
        return y

    def to_pool5(self, pool4: Tensor) -> Tensor:
        """(N, 512, H/8, W/8) -> the same size."""
        y: Tensor = self.pool5(self.block5(pool4))
        return y
