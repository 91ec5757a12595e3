"""DeepLab v2 on VGG16: ASPP. Chen et al. 2018, arXiv:1606.00915; prototxt of the VGG16 network.

    input (8k+1) -> VGG16 at stride 8, pools 3x3, no pool5a
                 -> fc6_1 3x3 d6  -> fc7_1 -> fc8_1 --.
                 -> fc6_2 3x3 d12 -> fc7_2 -> fc8_2 --+
                 -> fc6_3 3x3 d18 -> fc7_3 -> fc8_3 --+-> sum -> x8 align_corners -> output (8k+1)
                 -> fc6_4 3x3 d24 -> fc7_4 -> fc8_4 --'

ASPP-L has dilations 6, 12, 18, 24, ASPP-S 2, 4, 8, 12. Units lie on pixels 0, 8, 16 ..., so patches
must start on multiples of 8. State-dict keys are those of Caffe without the name of the data set
(``fc8_voc12_1`` becomes ``fc8_1``).
"""

from torch import Tensor, nn

from segtasks.networks.architectures.atrous_vgg import AtrousVGG16
from segtasks.networks.architectures.layers import (
    conv_relu,
    enlarge_aligned,
    initialise,
    narrow,
    pad_to,
)


class ASPP(AtrousVGG16):
    """Four heads of increasing dilation on one backbone, summed; for inputs of any size.

    Args:
        classes: number of classes.
        rates: dilations of the four heads.
        bands: input channels.
        width: multiplier of every channel count except bands and classes.
        batch_norm: BatchNorm after each convolution but the last.
        dropout: probability in the heads.
    """

    def __init__(
        self,
        *,
        classes: int,
        rates: tuple[int, int, int, int],
        bands: int = 3,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(bands=bands, width=width, batch_norm=batch_norm)
        pooled, units = narrow(512, width), narrow(1024, width)
        self.fc6_1, self.fc6_2, self.fc6_3, self.fc6_4 = (
            conv_relu(pooled, units, 3, padding=rate, dilation=rate, batch_norm=batch_norm)
            for rate in rates
        )
        self.fc7_1, self.fc7_2, self.fc7_3, self.fc7_4 = (
            conv_relu(units, units, 1, batch_norm=batch_norm) for _ in rates
        )
        self.dropout = nn.Dropout(dropout)
        self.fc8_1, self.fc8_2, self.fc8_3, self.fc8_4 = (
            nn.Conv2d(units, classes, 1) for _ in rates
        )
        initialise(self, score_prefixes=("fc8",))

    def heads(self, x: Tensor) -> Tensor:
        """(N, 512, n, m) -> logits (N, K, n, m)."""
        y1 = self.fc8_1(self.dropout(self.fc7_1(self.dropout(self.fc6_1(x)))))
        y2 = self.fc8_2(self.dropout(self.fc7_2(self.dropout(self.fc6_2(x)))))
        y3 = self.fc8_3(self.dropout(self.fc7_3(self.dropout(self.fc6_3(x)))))
        y4 = self.fc8_4(self.dropout(self.fc7_4(self.dropout(self.fc6_4(x)))))
        y: Tensor = y1 + y2 + y3 + y4
        return y

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W), padded to 8k + 1, 8l + 1 -> logits (N, K, k + 1, l + 1)."""
        return self.heads(self.to_pool5(self.to_pool4(pad_to(x, 8, 1))))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return enlarge_aligned(self.coarse_logits(x), 8)[:, :, : x.shape[2], : x.shape[3]]
