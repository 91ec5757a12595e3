"""ResNet-50, -101 and -152, the trunk. He et al. 2016, arXiv:1512.03385, table 1.

    input -> stem /2 -> max 3x3 /4 -> layer1 /4 -> layer2 /8 -> layer3 /16 -> layer4 /32
              64                        256          512          1024         2048

    a block    x -> conv1 1x1, C -> conv2 3x3, C -> conv3 1x1, 4C -> + -> ReLU
               '---------- shortcut: 1x1 in a stage's first block ---'

A stage either halves its map or keeps its size and dilates its 3x3s. Strided layers sample pixels
0, 2, 4, ..., so units of the map at 1/s lie on pixels 0, s, 2s, ...
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.layers import ConvBn, ConvBnRelu, narrow

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_INNER = (64, 128, 256, 512)
STAGE_CHANNELS = (256, 512, 1024, 2048)
"""Channels of layer1 ... layer4 at width 1."""


@dataclass(frozen=True)
class Form:
    """The differences of published ResNets. Weights of one form load into another, wrongly.

    Attributes:
        depth: number of layers with weights.
        stem: channels of the stem; one is a 7x7, three are 3x3s (64, 64, 128 in PSPNet, 32, 32, 64
            in V1c).
        stride_at: the convolution of a stage's first block that halves the map (Caffe: 1x1).
        dilations: dilations of layer1 ... layer4; a stage that dilates more than the one before it
            keeps the size of its map.
        contracted: whether the first block of such a stage has the dilation of the stage before
            (torchvision, mmseg) instead of its own (Caffe, semseg).
        ceil_pool: whether the pooled size is rounded up (Caffe).
    """

    depth: int
    stem: tuple[int, ...] = (64,)
    stride_at: Literal["1x1", "3x3"] = "3x3"
    dilations: tuple[int, int, int, int] = (1, 1, 1, 1)
    contracted: bool = False
    ceil_pool: bool = False


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut."""

    def __init__(
        self,
        channels: tuple[int, int, int],
        shortcut: nn.Module,
        *,
        strides: tuple[int, int] = (1, 1),
        dilation: int,
    ) -> None:
        """Take the ``channels`` in, inner and out, and the ``strides`` of first 1x1 and 3x3."""
        super().__init__()
        before, inner, after = channels
        self.conv1 = ConvBnRelu(before, inner, 1, stride=strides[0])
        self.conv2 = ConvBnRelu(
            inner, inner, 3, stride=strides[1], padding=dilation, dilation=dilation
        )
        self.conv3 = ConvBn(inner, after, 1)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H/s, W/s)."""
        y = self.conv3(self.conv2(self.conv1(x)))
        return functional.relu_(y.add_(self.shortcut(x)))


class ResNet(nn.Module):
    """The trunk without its classifier; networks add heads to it.

    State-dict keys: ``conv1`` or ``conv1_1`` ... ``conv1_3``, then ``layer1.0.conv1`` ...
    ``layer4.2.conv3`` and ``layer1.0.shortcut``; each has ``.weight`` and ``.bn``.
    """

    def __init__(self, form: Form, *, bands: int, width: float) -> None:
        super().__init__()
        self._add_stem(bands, [narrow(channels, width) for channels in form.stem])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=form.ceil_pool)
        before = narrow(form.stem[-1], width)
        stages = []
        for stage in range(4):
            stages.append(_stage(form, stage, before, width))
            before = narrow(STAGE_CHANNELS[stage], width)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def _add_stem(self, bands: int, channels: Sequence[int]) -> None:
        """Add one 7x7, or three 3x3 of which the first halves the map."""
        if len(channels) == 1:
            self.conv1 = ConvBnRelu(bands, channels[0], 7, stride=2, padding=3)
            return
        first, second, third = channels
        self.conv1_1 = ConvBnRelu(bands, first, 3, stride=2, padding=1)
        self.conv1_2 = ConvBnRelu(first, second, 3, padding=1)
        self.conv1_3 = ConvBnRelu(second, third, 3, padding=1)

    def stem(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 64 or 128, H/4, W/4), the pool included."""
        # TorchScript evaluates hasattr when it compiles.
        if hasattr(self, "conv1"):
            single: Tensor = self.maxpool(self.conv1(x))
            return single
        three: Tensor = self.maxpool(self.conv1_3(self.conv1_2(self.conv1_1(x))))
        return three

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> the maps of layer1 (1/4), layer2, layer3 and layer4."""
        first = self.layer1(self.stem(x))
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)


def _stage(form: Form, stage: int, before: int, width: float) -> nn.Sequential:
    """Return the blocks of layer ``stage`` + 1, whose input has ``before`` channels."""
    previous, dilation = (1, *form.dilations)[stage : stage + 2]
    stride = 2 if stage and dilation == previous else 1
    inner, after = narrow(_INNER[stage], width), narrow(STAGE_CHANNELS[stage], width)
    first = Bottleneck(
        (before, inner, after),
        ConvBn(before, after, 1, stride=stride),
        strides=(stride, 1) if form.stride_at == "1x1" else (1, stride),
        dilation=previous if form.contracted else dilation,
    )
    rest = [
        Bottleneck((after, inner, after), nn.Identity(), dilation=dilation)
        for _ in range(_BLOCKS[form.depth][stage] - 1)
    ]
    return nn.Sequential(first, *rest)
