"""Networks with logits at 1/8 on a dilated ResNet: the base of PSPNet, DeepLab v2, v3 and FCN.

    input -> pad to 8k or 8k+1 -> features (1/8) -> decode (1/8) -> x8 -> crop to the input
                                     layer3 -> auxiliary head (1/8) -> x8    in training only

Units lie on pixels 0, 8, 16, ..., so patches must start on multiples of 8.
"""

from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks.architectures.fcn import enlarge
from segtasks.networks.architectures.heads import ConvHead
from segtasks.networks.architectures.layers import enlarge_aligned, narrow, pad_to
from segtasks.networks.architectures.resnet import STAGE_CHANNELS, Form, ResNet


class Dilated(ResNet):
    """A dilated ResNet and a decoder at its resolution, for inputs of any size.

    Args:
        form: form of the trunk.
        bands: input channels.
        width: multiplier of every channel count.
        aligned: upsample with aligned corners, on sizes 8k+1; otherwise half-pixel, on sizes 8k.
        auxiliary: a head on layer3 for `training_logits`.
    """

    def __init__(
        self,
        form: Form,
        *,
        bands: int,
        width: float,
        aligned: bool,
        auxiliary: nn.Module | None = None,
    ) -> None:
        super().__init__(form, bands=bands, width=width)
        self.aligned = aligned
        self.auxiliary = auxiliary

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2048, h, w) of the padded input."""
        return self.stages(pad_to(x, 8, int(self.aligned)))[3]

    def decode(self, features: Tensor) -> Tensor:
        """(N, 2048, h, w) -> logits (N, K, h, w)."""
        raise NotImplementedError

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, h, w) at 1/8 of the padded input."""
        return self.decode(self.features(x))

    def enlarge(self, coarse: Tensor, x: Tensor) -> Tensor:
        """Upsample (N, K, h, w) to (N, K, H, W), the size of ``x``."""
        y = enlarge_aligned(coarse, 8) if self.aligned else enlarge(coarse, 8.0)
        return y[:, :, : x.shape[2], : x.shape[3]]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        return self.enlarge(self.coarse_logits(x), x)

    def training_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> logits of the network and of its auxiliary head, each (N, K, H, W).

        Raises:
            ModelError: the network was built without an auxiliary head.
        """
        if self.auxiliary is None:
            raise ModelError("the network has no auxiliary head; build it with auxiliary=True")
        _, _, third, features = self.stages(pad_to(x, 8, int(self.aligned)))
        main = self.enlarge(self.decode(features), x)
        return main, self.enlarge(self.auxiliary(third), x)


def resnet_v1c(depth: int) -> Form:
    """Return the form of the trunk in mmsegmentation's configurations that end in d8."""
    return Form(depth, stem=(32, 32, 64), dilations=(1, 1, 2, 4), contracted=True)


def auxiliary_head(classes: int, width: float, dropout: nn.Module) -> ConvHead:
    """Return the head on layer3: 1024 -> 256 -> classes."""
    return ConvHead(narrow(STAGE_CHANNELS[2], width), narrow(256, width), classes, dropout)
