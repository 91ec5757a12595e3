"""DeepLab-LargeFOV on VGG16. Chen et al. 2015, arXiv:1412.7062; prototxt of DeepLab-LargeFOV.

    input (8k+1) -> pool1 /2 -> pool2 /4 -> pool3 /8 -> pool4 /8 -> conv5 d2 -> pool5, pool5a /8
                 -> fc6 3x3 d12, 1024 -> fc7 -> fc8 -> x8 align_corners -> output (8k+1)

Units lie on pixels 0, 8, 16, ...; only sizes of 8k+1 end on a unit, which is why the x8 zoom is
exact there and nowhere else. Patches must start on multiples of 8.
"""

from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.layers import conv_relu, initialise, narrow, pad_to
from segtasks.networks.architectures.vgg import VGG16


class LargeFOV(VGG16):
    """DeepLab-LargeFOV as published, for inputs of any size.

    State dict keys are Caffe's (conv1_1 ... fc8).
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
        super().__init__(bands=bands, width=width, batch_norm=batch_norm, last_dilation=2)
        self.pool1, self.pool2, self.pool3 = (
            nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True) for _ in range(3)
        )
        self.pool4, self.pool5 = (nn.MaxPool2d(3, stride=1, padding=1) for _ in range(2))
        # Caffe's average divides by the whole window, padding included.
        self.pool5a = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=True)
        pooled, units = narrow(512, width), narrow(1024, width)
        self.fc6 = conv_relu(pooled, units, 3, padding=12, dilation=12, batch_norm=batch_norm)
        self.fc7 = conv_relu(units, units, 1, batch_norm=batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.fc8 = nn.Conv2d(units, classes, 1)
        initialise(self, score_prefixes=("fc8",))

    def features(self, x: Tensor) -> Tensor:
        """(N, C, 8k+1, 8l+1) -> (N, 512, k+1, l+1)."""
        x = self.to_pool2(self.to_pool1(x))
        x = self.pool3(self.block3(x))
        x = self.pool4(self.block4(x))
        y: Tensor = self.pool5a(self.pool5(self.block5(x)))
        return y

    def head(self, x: Tensor) -> Tensor:
        """(N, 512, k+1, l+1) -> logits (N, K, k+1, l+1)."""
        x = self.dropout(self.fc6(x))
        y: Tensor = self.fc8(self.dropout(self.fc7(x)))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W); the input is padded to the next 8k+1."""
        H, W = x.shape[2], x.shape[3]
        units = self.head(self.features(pad_to(x, 8, 1)))
        size = [8 * (units.shape[2] - 1) + 1, 8 * (units.shape[3] - 1) + 1]
        logits = functional.interpolate(units, size=size, mode="bilinear", align_corners=True)
        return logits[:, :, :H, :W]
