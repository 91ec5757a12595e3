"""Dilated VGG16 and its context module. Yu & Koltun 2016, arXiv:1511.07122; fyu/dilation.

    input -> mirrored 186 px -> pool1 /2 -> pool2 /4 -> pool3 /8 -> conv4 -> conv5 d2
          -> fc6 7x7 d4 -> fc7 -> final         no zeros: 8n + 372 px make n units
          -> 3x3 of dilation 1, 1, 2, 4, 8, 16, 32, 64, 1 -> 1x1     the context, on units
          -> softmax -> x8 -> log -> output     dilation10: x8 by a frozen deconvolution

Unit i sees pixels 8i - 186 ... 8i + 193, so patches must start on multiples of 8. The released
program cuts images into patches with a halo of 186 px. That is exact for the front-end, but leaves
seams in the context, which needs 450 px to the left and 458 px to the right.

State-dict keys are those of Caffe, as in the networks for CamVid, KITTI and Cityscapes (final,
ctx_conv1_1 ... ctx_fc1, ctx_final, ctx_upsample). The network for VOC has ``fc-final`` instead of
``final`` and ``ct_...`` instead of ``ctx_...``. The option BatchNorm applies to the front-end only:
the context starts as the identity, followed by ReLU, and trains without it. A class whose initial
logits are negative everywhere is then 0 and gets no gradient, so train the front-end first, as
published: its state dict is a part of the others.
"""

from collections.abc import Iterable
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.dilation_context import basic_context, large_context
from segtasks.networks.architectures.layers import (
    bilinear_kernel,
    conv_relu,
    enlarge_aligned,
    initialise,
    narrow,
)
from segtasks.networks.architectures.vgg import VGG16, Options


class DilationFrontend(VGG16):
    """The front-end alone, for inputs of any size.

    The image is padded with its mirror image (reflect-101), as far as the network looks.
    """

    surplus_rows = -2

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
            bands=bands,
            width=width,
            batch_norm=batch_norm,
            first_padding=0,
            padding=0,
            last_dilation=2,
        )
        self.pool1, self.pool2, self.pool3 = (nn.MaxPool2d(2, stride=2) for _ in range(3))
        pooled, units = narrow(512, width), narrow(4096, width)
        self.fc6 = conv_relu(pooled, units, 7, dilation=4, batch_norm=batch_norm)
        self.fc7 = conv_relu(units, units, 1, batch_norm=batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.final = nn.Conv2d(units, classes, 1)
        self.ctx_upsample: nn.Module = ZoomProbabilities()
        initialise(self, score_prefixes=("final",))

    def frontend(self, x: Tensor) -> Tensor:
        """Padded image (N, C, 8n + 372, 8m + 372) -> logits (N, K, n, m)."""
        x = self.pool3(self.block3(self.to_pool2(self.to_pool1(x))))
        x = self.dropout(self.fc6(self.block5(self.block4(x))))
        y: Tensor = self.final(self.dropout(self.fc7(x)))
        return y

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, ceil(H/8), ceil(W/8))."""
        return self.frontend(mirrored(x))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        y: Tensor = self.ctx_upsample(self.coarse_logits(x))
        return y[:, :, : x.shape[2], : x.shape[3]]


class DilationContext(DilationFrontend):
    """Front-end, then ten layers of context; layers that a network lacks are the identity."""

    def set_context(self, layers: Iterable[nn.Module]) -> None:
        """Set the layers as attributes, so that their keys are the flat names of Caffe."""
        (
            self.ctx_conv1_1,
            self.ctx_conv1_2,
            self.ctx_conv2_1,
            self.ctx_conv3_1,
            self.ctx_conv4_1,
            self.ctx_conv5_1,
            self.ctx_conv6_1,
            self.ctx_conv7_1,
            self.ctx_fc1,
            self.ctx_final,
        ) = layers

    def context(self, x: Tensor) -> Tensor:
        """Logits (N, K, n, m) -> logits (N, K, n, m)."""
        x = self.ctx_conv1_2(self.ctx_conv1_1(x))
        x = self.ctx_conv4_1(self.ctx_conv3_1(self.ctx_conv2_1(x)))
        x = self.ctx_conv7_1(self.ctx_conv6_1(self.ctx_conv5_1(x)))
        y: Tensor = self.ctx_final(self.ctx_fc1(x))
        return y

    def coarse_logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, ceil(H/8), ceil(W/8))."""
        return self.context(self.frontend(mirrored(x)))


class DilationBasic(DilationContext):
    """Front-end with the basic context: K channels at any ``width``, each layer pads its input.

    Args:
        classes: number of classes K.
        levels: levels of the context, as in the names of the networks: 7 (KITTI), 8 (CamVid), 10.
        options: options of all networks on VGG16.
    """

    def __init__(self, *, classes: int, levels: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.set_context(basic_context(classes, levels))


class DilationLarge(DilationContext):
    """Front-end with the large context of 8 levels (VOC): 2K ... 32K channels, padded once."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, **options)
        self.set_context(large_context(classes))


class Dilation10(DilationBasic):
    """Basic context of 10 levels (Cityscapes); a frozen deconvolution upsamples the logits."""

    def __init__(self, *, classes: int, **options: Unpack[Options]) -> None:
        super().__init__(classes=classes, levels=10, **options)
        self.ctx_upsample = BilinearPerClass(classes)


class ZoomProbabilities(nn.Module):
    """Softmax, upsampling by 8 with unit i on pixel 8i, logarithm: to (N, K, 8n, 8m).

    The published program interpolates probabilities (``util.interp_map``). Their logarithms are
    logits with the same softmax. Probabilities below float32's smallest normal number, 1.2e-38, are
    raised to it, so that the logarithm is finite. The last unit is repeated, because the pixels
    beyond it have no next unit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.least = torch.finfo(torch.float32).tiny

    def forward(self, logits: Tensor) -> Tensor:
        """Logits of units (N, K, n, m) -> log-probabilities of pixels, at least float32."""
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return zoom_whole(wide.softmax(dim=1)).clamp_min(self.least).log()

    def linearised(self) -> nn.Module:
        """Return the interpolation alone, which sees the same units."""
        return _Zoom()


class _Zoom(nn.Module):
    """The interpolation of `ZoomProbabilities`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, n, m) -> (N, K, 8n, 8m)."""
        return zoom_whole(x)


class BilinearPerClass(nn.Module):
    """Half-pixel bilinear x8 as a grouped deconvolution (kernel 16, stride 8, padding 4).

    Its kernel is a buffer: it is not trained, and the paper does not count it as parameters.
    """

    weight: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("weight", bilinear_kernel(8).repeat(classes, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, n, m) -> (N, K, 8n, 8m); the map is zero beyond its border."""
        return functional.conv_transpose2d(x, self.weight, stride=8, padding=4, groups=self.classes)


def zoom_whole(x: Tensor) -> Tensor:
    """Upsample (N, K, n, m) bilinearly to (N, K, 8n, 8m), with unit i on pixel 8i."""
    return enlarge_aligned(functional.pad(x, [0, 1, 0, 1], mode="replicate"), 8)[:, :, :-1, :-1]


def mirrored(x: Tensor, margin: int = 186, multiple: int = 8) -> Tensor:
    """Pad an image to a multiple and by ``margin`` px on all sides, mirrored (reflect-101).

    The reflection of torch cannot pad by more than the size of the image. Patches start on the
    lattice and end at the border of the raster or inside it, so a patch of at least 187 px at the
    border is mirrored exactly as the whole image is.
    """
    H, W = x.shape[2], x.shape[3]
    rows = reflected(H, margin, margin + -H % multiple)
    cols = reflected(W, margin, margin + -W % multiple)
    return x.index_select(2, rows.to(x.device)).index_select(3, cols.to(x.device))


def reflected(length: int, before: int, after: int) -> Tensor:
    """Return the indices -before ... length + after - 1, reflected into 0 ... length - 1."""
    period = max(1, 2 * (length - 1))
    phase = torch.arange(-before, length + after) % period
    return torch.minimum(phase, period - phase)
