"""Layers that several architectures share: convolutions, bilinear upsampling, strips."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights


def narrow(channels: int, width: float) -> int:
    """Return the channel count of a layer at a width multiplier, at least 1."""
    return max(1, round(channels * width))


class ConvRelu(nn.Conv2d):
    """Convolution with bias, then ReLU. (N, C, H, W) -> (N, D, H', W').

    Both are one module, so that state dicts keep the published flat names (``conv1_1.weight``).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and apply ReLU, in place, since nothing else uses the convolution's output."""
        return functional.relu_(self._conv_forward(x, self.weight, self.bias))


class ConvBn(nn.Conv2d):
    """Convolution, then BatchNorm (Ioffe & Szegedy 2015). Keys: ``weight``, ``bn.weight`` ..."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise."""
        y: Tensor = self.bn(self._conv_forward(x, self.weight, self.bias))
        return y

    def folded(self) -> nn.Conv2d:
        """Return a convolution that computes the same in eval mode."""
        return self._fold_into(nn.Conv2d)

    def _fold_into(self, kind: type[nn.Conv2d]) -> nn.Conv2d:
        """Return a convolution of the same geometry whose weights include the BatchNorm."""
        conv = kind(self.in_channels, self.out_channels, (self.kernel_size[0], self.kernel_size[1]))
        conv.stride, conv.padding, conv.dilation = self.stride, self.padding, self.dilation
        mean, var = self.bn.running_mean, self.bn.running_var
        assert mean is not None
        assert var is not None
        conv.weight, conv.bias = fuse_conv_bn_weights(
            self.weight, self.bias, mean, var, self.bn.eps, self.bn.weight, self.bn.bias
        )
        return conv


class ConvBnRelu(ConvBn):
    """Convolution, BatchNorm, ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise and apply ReLU."""
        return functional.relu_(self.bn(self._conv_forward(x, self.weight, self.bias)))

    def folded(self) -> nn.Conv2d:
        """Return a convolution with ReLU that computes the same in eval mode."""
        return self._fold_into(ConvRelu)


def conv_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    batch_norm: bool,
    padding: int = 0,
    dilation: int = 1,
) -> nn.Conv2d:
    """Return a convolution with bias and ReLU, optionally with BatchNorm between the two."""
    if batch_norm:
        return ConvBnRelu(
            in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=True
        )
    return ConvRelu(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation)


def fold_batch_norm(module: nn.Module) -> None:
    """Replace every ConvBn in ``module`` by its folded convolution, in place."""
    for name, child in module.named_children():
        if isinstance(child, ConvBn):
            setattr(module, name, child.folded())
        else:
            fold_batch_norm(child)


def bilinear_deconv(classes: int, factor: int) -> nn.ConvTranspose2d:
    """Return frozen bilinear upsampling by an even factor f, weight [C, C, 2f, 2f].

    Long et al. 2015, sec. 3.3 and ``surgery.upsample_filt``: w = (1-|i-c|/f)(1-|j-c|/f) with
    c = f - 0.5, on the diagonal; the off-diagonal is zero. The weight is not trained.
    """
    kernel = bilinear_kernel(factor)
    deconv = nn.ConvTranspose2d(classes, classes, len(kernel), stride=factor, bias=False)
    deconv.weight = nn.Parameter(torch.eye(classes)[:, :, None, None] * kernel, requires_grad=False)
    return deconv


def bilinear_kernel(factor: int) -> Tensor:
    """Return the weights (2f, 2f) of half-pixel bilinear upsampling by ``f`` as a deconvolution."""
    taps = [1 - abs(i - (factor - 0.5)) / factor for i in range(2 * factor)]
    return torch.tensor([[row * col for col in taps] for row in taps])


def initialise(
    module: nn.Module, *, score_prefixes: tuple[str, ...], score_std: float = 0.01
) -> None:
    """Initialise convolutions He-normal (He et al. 2015), scoring layers N(0, 0.01), biases 0.

    The papers start from ImageNet weights and add scoring layers of zeros (FCN) or N(0, 0.01)
    (DeepLab). All networks here use the latter, so that the map of an untrained network varies.
    """
    for name, layer in module.named_modules():
        # Meta tensors have no values, and initialising them imports torch._dynamo (1.5 s).
        if not isinstance(layer, nn.Conv2d) or layer.weight.is_meta:
            continue
        if name.startswith(score_prefixes):
            nn.init.normal_(layer.weight, std=score_std)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def pad_to(x: Tensor, multiple: int, extra: int) -> Tensor:
    """Pad with zeros at the bottom and right until H and W are ``multiple * k + extra``.

    Zero is the mean colour after normalisation. Patches start on the lattice and end at the border
    of the raster or inside it, so a patch at the border is padded exactly as the whole image is.
    """
    down = (extra - x.shape[2]) % multiple
    right = (extra - x.shape[3]) % multiple
    return functional.pad(x, [0, right, 0, down])


def enlarge_aligned(x: Tensor, factor: int) -> Tensor:
    """Upsample with aligned corners: (N, C, h, w) -> (N, C, f (h - 1) + 1, f (w - 1) + 1).

    This is ``Interp`` of Caffe with a zoom factor: units lie on pixels 0, f, 2f, ..., so positions
    do not depend on the size.
    """
    size = [factor * (x.shape[2] - 1) + 1, factor * (x.shape[3] - 1) + 1]
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


STRIP_ROWS = 256
"""Input rows per strip, about a ninth of a large patch, so that the halo costs little."""


def in_strips(
    stage: Callable[[Tensor], Tensor], x: Tensor, *, stride: int, halo: int, surplus: int = 0
) -> Tensor:
    """Return ``stage(x)``, computed in horizontal strips if gradients are disabled.

    The first maps of a network are by far the largest. Strips avoid to hold them as a whole, which
    takes a third of the memory and makes the first forward pass of a worker faster.

    Args:
        stage: convolutions and pools, (N, C, H, W) -> (N, D, ceil(H / stride) + surplus, W').
        x: input of the stage.
        stride: stride of the stage.
        halo: rows that a strip needs beyond its own; a multiple of ``stride``.
        surplus: additional rows at the bottom due to padding; negative without padding.
    """
    if torch.is_grad_enabled() or x.shape[2] <= 2 * STRIP_ROWS:
        return stage(x)
    first = stage(x[:, :, : STRIP_ROWS + halo])[:, :, : STRIP_ROWS // stride]
    shape = (*first.shape[:2], -(-x.shape[2] // stride) + surplus, first.shape[3])
    # Allocated first, since small results between large temporaries fragment the heap.
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    out[:, :, : first.shape[2]] = first
    for top in range(STRIP_ROWS, shape[2] * stride, STRIP_ROWS):
        strip = stage(x[:, :, top - halo : top + STRIP_ROWS + halo])
        rows = out[:, :, top // stride : (top + STRIP_ROWS) // stride]
        rows[:] = strip[:, :, halo // stride : halo // stride + rows.shape[2]]
    return out
