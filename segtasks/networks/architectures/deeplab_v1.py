"""DeepLab v1 on VGG16: three networks. Chen et al. 2015, arXiv:1412.7062, and their prototxts.

    input -> pool1 /2 -> pool2 /4 -> pool3 /8 -> pool4 /8 -> conv5 d2 -> pool5 /8     backbone
          -> fc6 -> fc7 -> fc8 -> x8 align_corners -> output

    deeplab_v1     pools 2x2, fc6 4x4 d4, 4096          units on pixels -7, 1, 9 ...   8k + 2
    largefov       pools 3x3, pool5a, fc6 3x3 d12, 1024  units on pixels 0, 8, 16 ...   8k + 1
    msc_largefov   also a head on the input and on each of pool1 ... pool4, all upsampled and summed

Only images of the sizes on the right end on a unit, so only there the upsampling by 8 is exact:
every image is padded to the next such size. Patches must start on multiples of 8. State-dict keys
are those of Caffe (conv1_1 ... fc8; fc8_pascal and fc8_voc12 become ``fc8``).
"""

from dataclasses import dataclass
from functools import partial
from typing import Unpack

from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]  # stub gap

from segtasks.networks.architectures.atrous_vgg import AtrousVGG16
from segtasks.networks.architectures.layers import (
    conv_relu,
    enlarge_aligned,
    in_strips,
    initialise,
    narrow,
    pad_to,
)
from segtasks.networks.architectures.vgg import Options


@dataclass(frozen=True)
class Fc6:
    """The convolution that replaces the first fully connected layer of VGG16."""

    units: int
    kernel_size: int
    dilation: int


class _OneHead(AtrousVGG16):
    """Backbone and one head: fc6, fc7, fc8."""

    def __init__(
        self,
        *,
        classes: int,
        pool: int,
        fc6: Fc6,
        bands: int = 3,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(bands=bands, width=width, batch_norm=batch_norm, pool=pool)
        pooled, units = narrow(512, width), narrow(fc6.units, width)
        self.fc6 = conv_relu(
            pooled,
            units,
            fc6.kernel_size,
            padding=fc6.dilation * (fc6.kernel_size - 1) // 2,
            dilation=fc6.dilation,
            batch_norm=batch_norm,
        )
        self.fc7 = conv_relu(units, units, 1, batch_norm=batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.fc8 = nn.Conv2d(units, classes, 1)

    def head(self, x: Tensor) -> Tensor:
        """(N, 512, n, m) -> logits (N, K, n, m)."""
        x = self.dropout(self.fc6(x))
        y: Tensor = self.fc8(self.dropout(self.fc7(x)))
        return y


class DeepLab(_OneHead):
    """DeepLab as published, for inputs of any size: pools of 2x2, fc6 4x4 of dilation 4.

    This is the network of test.prototxt, whose pool4 is padded: one unit more on each side than in
    training, so that the upsampled map covers the image. 7 px are cropped before it and 8 after it.
    """

    surplus_rows = 1

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        fc6 = Fc6(4096, kernel_size=4, dilation=4)
        super().__init__(classes=classes, pool=2, fc6=fc6, **options)
        initialise(self, score_prefixes=("fc8",))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W), padded to 8k + 2, 8l + 2 -> logits (N, K, k + 3, l + 3)."""
        return self.head(self.to_pool5(self.to_pool4(pad_to(x, 8, 2))))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        logits = enlarge_aligned(self.coarse_logits(x), 8)
        return logits[:, :, 7 : 7 + x.shape[2], 7 : 7 + x.shape[3]]


class _LargeFOV(_OneHead):
    """The branch from pool4 to fc8 that LargeFOV and its multi-scale form share."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        fc6 = Fc6(1024, kernel_size=3, dilation=12)
        super().__init__(classes=classes, pool=3, fc6=fc6, **options)
        # The average pool of Caffe divides by the whole window, padding included.
        self.pool5a = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=True)

    def from_pool4(self, pool4: Tensor) -> Tensor:
        """(N, 512, n, m) -> logits (N, K, n, m)."""
        return self.head(self.pool5a(self.to_pool5(pool4)))


class LargeFOV(_LargeFOV):
    """DeepLab-LargeFOV as published, for inputs of any size."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        initialise(self, score_prefixes=("fc8",))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W), padded to 8k + 1, 8l + 1 -> logits (N, K, k + 1, l + 1)."""
        return self.from_pool4(self.to_pool4(pad_to(x, 8, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return enlarge_aligned(self.coarse_logits(x), 8)[:, :, : x.shape[2], : x.shape[3]]


class MScLargeFOV(_LargeFOV):
    """LargeFOV with five more heads, on the input and on pool1 ... pool4, summed at stride 1.

    This is the network of test.prototxt. In training the first convolutions of the heads have
    strides 8, 4, 2, 1, 1 and the sum is taken at stride 8. That network of the same weights is not
    built here.
    """

    def __init__(
        self,
        *,
        classes: int,
        bands: int = 3,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            classes=classes, bands=bands, width=width, batch_norm=batch_norm, dropout=dropout
        )
        side, sources = narrow(128, width), [narrow(c, width) for c in (64, 128, 256, 512)]
        conv = partial(conv_relu, out_channels=side, batch_norm=batch_norm)
        (
            self.data_conv,
            self.pool1_conv,
            self.pool2_conv,
            self.pool3_conv,
            self.pool4_conv,
        ) = (conv(c, kernel_size=3, padding=1) for c in (bands, *sources))
        self.data_fc, self.pool1_fc, self.pool2_fc, self.pool3_fc, self.pool4_fc = (
            conv(side, kernel_size=1) for _ in range(5)
        )
        self.data_ms, self.pool1_ms, self.pool2_ms, self.pool3_ms, self.pool4_ms = (
            nn.Conv2d(side, classes, 1) for _ in range(5)
        )
        sides = ("data_ms", "pool1_ms", "pool2_ms", "pool3_ms", "pool4_ms")
        initialise(self, score_prefixes=("fc8", *sides))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        data = pad_to(x, 8, 1)
        pool1 = self.to_pool1(data)
        pool2 = self.to_pool2(pool1)
        pool3 = self.pool3(self.block3(pool2))
        y = self.from_data(data)
        y = y + enlarge_aligned(self.from_pool1(pool1), 2)
        y = y + enlarge_aligned(self.from_pool2(pool2), 4)
        # Upsampling is linear, so the logits of stride 8 are summed first.
        y = y + enlarge_aligned(self.from_pool3(pool3), 8)
        return y[:, :, : x.shape[2], : x.shape[3]]

    def from_data(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W) of the head on the input, in strips."""
        if is_scripting():
            return self.data_head(x)
        return in_strips(self.data_head, x, stride=1, halo=1)

    def data_head(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W); `from_data` runs this in strips."""
        y: Tensor = self.data_ms(self.dropout(self.data_fc(self.dropout(self.data_conv(x)))))
        return y

    def from_pool1(self, x: Tensor) -> Tensor:
        """(N, 64, H/2, W/2) -> logits (N, K, H/2, W/2) of the head on pool1."""
        y: Tensor = self.pool1_ms(self.dropout(self.pool1_fc(self.dropout(self.pool1_conv(x)))))
        return y

    def from_pool2(self, x: Tensor) -> Tensor:
        """(N, 128, H/4, W/4) -> logits (N, K, H/4, W/4) of the head on pool2."""
        y: Tensor = self.pool2_ms(self.dropout(self.pool2_fc(self.dropout(self.pool2_conv(x)))))
        return y

    def from_pool3(self, x: Tensor) -> Tensor:
        """(N, 256, n, m) -> the sum of the logits (N, K, n, m) on pool3, pool4 and fc7."""
        pool4 = self.pool4(self.block4(x))
        y3 = self.pool3_ms(self.dropout(self.pool3_fc(self.dropout(self.pool3_conv(x)))))
        y4 = self.pool4_ms(self.dropout(self.pool4_fc(self.dropout(self.pool4_conv(pool4)))))
        y: Tensor = y3 + y4 + self.from_pool4(pool4)
        return y
