"""The layers of the context module. Yu & Koltun 2016, arXiv:1511.07122, sec. 3 and table 1.

    basic   C  C  C  C  C   C  (C  C)  C  C      channels, C = classes
    large  2C 2C 4C 8C 16C 32C        32C C
    d       1  1  2  4  8  16 (32 64)  1  1x1    dilation of 3x3, ReLU after all but the last

Channels are multiples of the number of classes, so ``width`` does not change them. Training fails
from random weights (paper), so every layer starts as the identity, in the large context with noise.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import nn

from segtasks.networks.architectures.layers import ConvRelu

_DILATIONS = (1, 1, 2, 4, 8, 16, 32, 64)
"""Dilations of ctx_conv1_1, ctx_conv1_2, ctx_conv2_1 ... ctx_conv7_1 (paper, table 1)."""
_LARGE_MULTIPLES = (1, 2, 2, 4, 8, 16, 32, 32)
"""Channels / C before the first layer of the large context and after each up to ctx_fc1."""
_LARGE_FRAME = 33
"""Zero padding around the units: as much as the whole context sees to one side."""
_LARGE_STD = 0.01
"""Standard deviation of the noise in the large context, as in the released filler."""


def basic_context(classes: int, levels: int) -> list[nn.Module]:
    """Return the ten layers of the basic context, as the identity."""
    conv = partial(ConvRelu, classes, classes, 3)
    deep = [conv(dilation=d, padding=d) for d in _DILATIONS[: levels - 2]]
    convs = [*deep, conv(padding=1), nn.Conv2d(classes, classes, 1)]
    for layer in convs:
        to_identity(layer, classes, std=0.0)
    return _with_gaps(convs)


def large_context(classes: int) -> list[nn.Module]:
    """Return the ten layers of the large context, as the identity with noise."""
    channels = [classes * multiple for multiple in _LARGE_MULTIPLES]
    dilations = (*_DILATIONS[:6], 1)
    convs: list[nn.Conv2d] = [
        ConvRelu(before, after, 3, dilation=dilation, padding=0 if index else _LARGE_FRAME)
        for index, ((before, after), dilation) in enumerate(
            zip(pairwise(channels), dilations, strict=True)
        )
    ]
    convs.append(nn.Conv2d(channels[-1], classes, 1))
    for layer in convs:
        to_identity(layer, classes, std=_LARGE_STD)
    return _with_gaps(convs)


def _with_gaps(convs: list[nn.Conv2d]) -> list[nn.Module]:
    """Insert identities before the last two layers, for ten layers in all."""
    gaps = [nn.Identity() for _ in range(len(_DILATIONS) + 2 - len(convs))]
    return [*convs[:-2], *gaps, *convs[-2:]]


def to_identity(conv: nn.Conv2d, classes: int, *, std: float) -> None:
    """Initialise a layer of the context as the identity (paper, sec. 3).

    The centre of input a and output b is C / c_out where floor(a C / c_in) = floor(b C / c_out),
    everything else is N(0, std). The ReLU behind it removes negative values.
    """
    if conv.weight.is_meta:
        return
    c_out, c_in = conv.out_channels, conv.in_channels
    same = torch.arange(c_out)[:, None] * classes // c_out == torch.arange(c_in) * classes // c_in
    centre = conv.kernel_size[0] // 2
    with torch.no_grad():
        conv.weight.normal_(std=std) if std else conv.weight.zero_()
        conv.weight[:, :, centre, centre].masked_fill_(same, classes / c_out)
        assert conv.bias is not None
        conv.bias.zero_()
