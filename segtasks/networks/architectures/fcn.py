"""FCN on VGG16. Long, Shelhamer & Darrell 2015, arXiv:1411.4038; net.py of voc-fcn{32,16,8}s.

    input  conv1_1 pads 100     pool3 (1/8)   pool4 (1/16)   pool5 (1/32) -> fc6 7x7 -> fc7
                                  |             |                                |
                              score_pool3   score_pool4                      score_fr
                                  |   crop 9    |   crop 5                       |
    32s: crop 19 <---- x32 <-----------------------------------------------------|
    16s: crop 27 <---- x16 <--------------------+ <------------ x2 --------------|
     8s: crop 31 <- x8 <--------- + <--- x2 --- + <------------ x2 --------------'

Every image of H, W >= 1 gives logits of its own size: a padding of at least 97 px leaves one unit
to a 1 px image, and one of at least 81 px makes the crop start inside the map. Units lie every
32 px from the origin, so patches must start on multiples of 32.
"""

from functools import partial
from typing import ClassVar, Unpack

from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.layers import (
    bilinear_deconv,
    conv_relu,
    initialise,
    narrow,
    pad_to,
)
from segtasks.networks.architectures.vgg import VGG16, Options


class _FCN(VGG16):
    """The base of all FCNs on VGG16: backbone, ceil pools, fully convolutional fc6 and fc7.

    State-dict keys and shapes are those of the Caffe models and of wkentaro/pytorch-fcn.
    """

    first_padding: ClassVar[int] = 100
    fc6_padding: ClassVar[int] = 0

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
            bands=bands, width=width, batch_norm=batch_norm, first_padding=self.first_padding
        )
        pooled, units = narrow(512, width), narrow(4096, width)
        self.pool1, self.pool2, self.pool3, self.pool4, self.pool5 = (
            nn.MaxPool2d(2, stride=2, ceil_mode=True) for _ in range(5)
        )
        fc = partial(conv_relu, batch_norm=batch_norm)
        self.fc6 = fc(pooled, units, kernel_size=7, padding=self.fc6_padding)
        self.fc7 = fc(units, units, kernel_size=1)
        self.dropout = nn.Dropout(dropout)
        self.score_fr = nn.Conv2d(units, classes, 1)

    def to_pool3(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 256, H/8, W/8)."""
        y: Tensor = self.pool3(self.block3(self.to_pool2(self.to_pool1(x))))
        return y

    def to_pool4(self, pool3: Tensor) -> Tensor:
        """(N, 256, H/8, W/8) -> (N, 512, H/16, W/16)."""
        y: Tensor = self.pool4(self.block4(pool3))
        return y

    def to_score(self, pool4: Tensor) -> Tensor:
        """(N, 512, H/16, W/16) -> logits of the coarsest stream, (N, K, H/32, W/32)."""
        x = self.pool5(self.block5(pool4))
        x = self.dropout(self.fc6(x))
        y: Tensor = self.score_fr(self.dropout(self.fc7(x)))
        return y


class FCN32s(_FCN):
    """FCN-32s as published: pad 100, one frozen bilinear deconvolution, fixed crop 19."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.upscore = bilinear_deconv(classes, 32)
        initialise(self, score_prefixes=("score_",))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits of units; unit i is centred on pixel 32i + 12.5."""
        return self.to_score(self.to_pool4(self.to_pool3(x)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return crop_like(self.upscore(self.coarse_logits(x)), x, 19)


class _WithPool4(_FCN):
    """An FCN with the first skip: logits of pool4 are added to the upsampled coarsest logits."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.score_pool4 = nn.Conv2d(self.conv4_3.out_channels, classes, 1)
        self.upscore2 = bilinear_deconv(classes, 2)

    def add_pool4(self, score: Tensor, pool4: Tensor) -> Tensor:
        """Logits at 1/32 and features at 1/16 -> logits; unit i is centred on 16i - 11.5."""
        coarse: Tensor = self.upscore2(score)
        return coarse + crop_like(self.score_pool4(pool4), coarse, 5)


class FCN16s(_WithPool4):
    """FCN-16s as published: pad 100, one skip, frozen bilinear deconvolutions, crops 5, 27."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.upscore16 = bilinear_deconv(classes, 16)
        initialise(self, score_prefixes=("score_",))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits of units; unit i is centred on pixel 16i - 11.5."""
        pool4 = self.to_pool4(self.to_pool3(x))
        return self.add_pool4(self.to_score(pool4), pool4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return crop_like(self.upscore16(self.coarse_logits(x)), x, 27)


class Scale(nn.Module):
    """Multiplication by a fixed number, which is not in the state dict."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Scale a tensor of any shape."""
        return x * self.factor


class FCN8s(_WithPool4):
    """FCN-8s as published: pad 100, two skips, frozen bilinear deconvolutions, crops 5, 9, 31.

    Args:
        classes: number of classes.
        at_once: build voc-fcn8s-atonce, which is trained at once instead of after 32s and 16s;
            pool4 x 0.01 and pool3 x 0.0001 scale the skips to the range of the coarsest stream.
        options: options of all networks on VGG16.
    """

    def __init__(self, *, classes: int, at_once: bool = False, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.score_pool3 = nn.Conv2d(self.conv3_3.out_channels, classes, 1)
        self.upscore_pool4 = bilinear_deconv(classes, 2)
        self.upscore8 = bilinear_deconv(classes, 8)
        self.scale_pool4 = Scale(0.01) if at_once else nn.Identity()
        self.scale_pool3 = Scale(0.0001) if at_once else nn.Identity()
        initialise(self, score_prefixes=("score_",))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits of units; unit i is centred on pixel 8i - 23.5."""
        pool3 = self.to_pool3(x)
        pool4 = self.to_pool4(pool3)
        middle = self.add_pool4(self.to_score(pool4), self.scale_pool4(pool4))
        middle = self.upscore_pool4(middle)
        fine: Tensor = middle + crop_like(self.score_pool3(self.scale_pool3(pool3)), middle, 9)
        return fine

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return crop_like(self.upscore8(self.coarse_logits(x)), x, 31)


class FCN8sLean(_FCN):
    """FCN-8s without the pad of 100: conv1_1 pads 1, fc6 pads 3, half-pixel bilinear, no crops.

    It has the weights and the receptive field of `FCN8s`, which computes 71 % more at 512 px due to
    its padding. Its units lie 3 px from those of `FCN8s`, so the logits differ a little.
    """

    first_padding = 1
    fc6_padding = 3

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.score_pool4 = nn.Conv2d(self.conv4_3.out_channels, classes, 1)
        self.score_pool3 = nn.Conv2d(self.conv3_3.out_channels, classes, 1)
        initialise(self, score_prefixes=("score_",))

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W), padded to multiples of 32 -> logits (N, K, H/8, W/8)."""
        pool3 = self.to_pool3(pad_to(x, 32, 0))
        pool4 = self.to_pool4(pool3)
        middle = self.score_pool4(pool4) + enlarge(self.to_score(pool4), 2.0)
        fine: Tensor = self.score_pool3(pool3) + enlarge(middle, 2.0)
        return fine

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return crop_like(enlarge(self.coarse_logits(x), 8.0), x, 0)


def crop_like(x: Tensor, reference: Tensor, offset: int) -> Tensor:
    """Crop ``x`` to the H and W of ``reference``, ``offset`` px from the top and left."""
    bottom, right = offset + reference.shape[2], offset + reference.shape[3]
    return x[:, :, offset:bottom, offset:right]


def enlarge(x: Tensor, factor: float) -> Tensor:
    """Upsample bilinearly with half-pixel centres; positions do not depend on the size."""
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
