"""SegNet. Badrinarayanan, Kendall & Cipolla 2017, arXiv:1511.00561; segnet_train.prototxt.

    input -> block1 -> pool1 -> block2 -> pool2 ... block5 -> pool5
                         :                  :                   |
                         : where the        :                   |
                         : maxima were      :                   |
                         v                  v                   v
    output <- block1_D <- unpool1 <- ... <- unpool2 ... <- block5_D <- unpool5

Each unpooling puts values back where the maxima were, and zeros elsewhere, in a map of the size
before pooling, so images of any size need no padding. Pooling windows lie on multiples of 32 px (16
in SegNet-Basic), so patches must start there.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.layers import ConvBn, ConvBnRelu, conv_relu, initialise, narrow
from segtasks.networks.architectures.vgg import VGG16

Place = tuple[Tensor, list[int]]
"""Indices of the maxima of a pooling, and H and W before it."""


class Pool(nn.Module):
    """2x2 max pooling, which pushes the indices of the maxima on a stack."""

    def __init__(self) -> None:
        super().__init__()
        self.maxima = nn.MaxPool2d(2, stride=2, ceil_mode=True, return_indices=True)

    def forward(self, x: Tensor, places: list[Place]) -> Tensor:
        """(N, C, H, W) -> (N, C, H/2, W/2), rounded up."""
        pooled, indices = self.maxima(x)
        places.append((indices, [x.shape[2], x.shape[3]]))
        y: Tensor = pooled
        return y


class MaxUnpool2x2(nn.MaxUnpool2d):
    """nn.MaxUnpool2d in a form that torch.jit compiles."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor, where: Tensor, size: list[int] | None = None) -> Tensor:
        """(N, C, H/2, W/2) and indices, rounded up -> (N, C, H, W), ``size`` being [H, W]."""
        return functional.max_unpool2d(x, where, [2, 2], [2, 2], [0, 0], size)


class Unpool(nn.Module):
    """Unpooling with the indices on top of the stack.

    Indices are freed after use: all five sets need nearly as much memory as a map of 64 channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unpool = MaxUnpool2x2()

    def forward(self, x: Tensor, places: list[Place]) -> Tensor:
        """(N, C, H/2, W/2), rounded up -> (N, C, H, W)."""
        indices, size = places.pop()
        y: Tensor = self.unpool(x, indices, size)
        return y


class SegNet(VGG16):
    """SegNet as published: VGG16 and its mirror, BatchNorm after every convolution but the last.

    State-dict keys are those of Caffe (conv1_1 ... conv5_3, conv5_3_D ... conv1_1_D), with nested
    BatchNorm. The published statistics were computed in one pass over the training set after
    training, and are folded into scale and shift.

    Args:
        classes: number of classes.
        bands: number of input bands.
        width: multiplier of all channel counts except bands and classes.
        bayesian: dropout 0.5 around the three inner levels (Kendall et al. 2017,
            arXiv:1511.02680). Off in eval mode, where the paper averages Monte-Carlo samples.
    """

    def __init__(
        self, *, classes: int, bands: int = 3, width: float = 1.0, bayesian: bool = False
    ) -> None:
        super().__init__(bands=bands, width=width, batch_norm=True)
        c1, c2, c3, c4 = (narrow(channels, width) for channels in (64, 128, 256, 512))
        conv = partial(conv_relu, kernel_size=3, padding=1, batch_norm=True)
        self.pool = Pool()
        self.unpool = Unpool()
        self.dropout = nn.Dropout(0.5 if bayesian else 0.0)
        self.conv5_3_D = conv(c4, c4)
        self.conv5_2_D = conv(c4, c4)
        self.conv5_1_D = conv(c4, c4)
        self.conv4_3_D = conv(c4, c4)
        self.conv4_2_D = conv(c4, c4)
        self.conv4_1_D = conv(c4, c3)
        self.conv3_3_D = conv(c3, c3)
        self.conv3_2_D = conv(c3, c3)
        self.conv3_1_D = conv(c3, c2)
        self.conv2_2_D = conv(c2, c2)
        self.conv2_1_D = conv(c2, c1)
        self.conv1_2_D = conv(c1, c1)
        self.conv1_1_D = nn.Conv2d(c1, classes, 3, padding=1)
        initialise_as_published(self)

    def decode5(self, x: Tensor) -> Tensor:
        """Three convolutions: 512 -> 512."""
        y: Tensor = self.conv5_1_D(self.conv5_2_D(self.conv5_3_D(x)))
        return y

    def decode4(self, x: Tensor) -> Tensor:
        """Three convolutions: 512 -> 256."""
        y: Tensor = self.conv4_1_D(self.conv4_2_D(self.conv4_3_D(x)))
        return y

    def decode3(self, x: Tensor) -> Tensor:
        """Three convolutions: 256 -> 128."""
        y: Tensor = self.conv3_1_D(self.conv3_2_D(self.conv3_3_D(x)))
        return y

    def decode2(self, x: Tensor) -> Tensor:
        """Two convolutions: 128 -> 64."""
        y: Tensor = self.conv2_1_D(self.conv2_2_D(x))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        places: list[Place] = []
        x = self.pool(self.block1(x), places)
        x = self.pool(self.block2(x), places)
        x = self.dropout(self.pool(self.block3(x), places))
        x = self.dropout(self.pool(self.block4(x), places))
        x = self.dropout(self.pool(self.block5(x), places))
        x = self.dropout(self.decode5(self.unpool(x, places)))
        x = self.dropout(self.decode4(self.unpool(x, places)))
        x = self.dropout(self.decode3(self.unpool(x, places)))
        x = self.decode2(self.unpool(x, places))
        x = self.conv1_2_D(self.unpool(x, places))
        y: Tensor = self.conv1_1_D(x)
        return y


class SegNetBasic(nn.Module):
    """SegNet-Basic as published: four 7x7 convolutions down, four without ReLU up, 1x1 to classes.

    It follows segnet_basic_train.prototxt, whose decoder has biases, unlike the paper's text.
    State-dict keys are those of Caffe (conv1 ..., conv_decode4 ..., conv_classifier), with nested
    BatchNorm.
    """

    def __init__(self, *, classes: int, bands: int = 3, width: float = 1.0) -> None:
        super().__init__()
        channels = narrow(64, width)
        encoder = partial(ConvBnRelu, out_channels=channels, kernel_size=7, padding=3, bias=True)
        decoder = partial(ConvBn, out_channels=channels, kernel_size=7, padding=3, bias=True)
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self.pool = Pool()
        self.unpool = Unpool()
        self.conv1 = encoder(bands)
        self.conv2, self.conv3, self.conv4 = (encoder(channels) for _ in range(3))
        self.conv_decode4, self.conv_decode3 = decoder(channels), decoder(channels)
        self.conv_decode2, self.conv_decode1 = decoder(channels), decoder(channels)
        self.conv_classifier = nn.Conv2d(channels, classes, 1)
        initialise_as_published(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        places: list[Place] = []
        x = self.pool(self.conv1(self.norm(x)), places)
        x = self.pool(self.conv2(x), places)
        x = self.pool(self.conv3(x), places)
        x = self.pool(self.conv4(x), places)
        x = self.conv_decode4(self.unpool(x, places))
        x = self.conv_decode3(self.unpool(x, places))
        x = self.conv_decode2(self.unpool(x, places))
        x = self.conv_decode1(self.unpool(x, places))
        y: Tensor = self.conv_classifier(x)
        return y


def initialise_as_published(module: nn.Module) -> None:
    """Initialise He-normal, the classifier too; BatchNorm with eps 1e-9 and shift 0.001.

    With so small an eps, narrow networks train from scratch as well as with 1e-5. On crops of a
    single colour, whose channels have no variance, gradients are about ten times larger.
    """
    initialise(module, score_prefixes=())
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-9
            if not layer.bias.is_meta:
                nn.init.constant_(layer.bias, 0.001)
