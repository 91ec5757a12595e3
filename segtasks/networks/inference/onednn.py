"""Fused kernels of oneDNN: a convolution and its ReLU in one call, with prepacked weights.

A plain convolution reorders its weights at every call, and a separate ReLU reads and writes the
whole result again. Both together took a quarter of a forward pass (width 0.25, 1024 px, 2 cores).
The results are equal bit by bit.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from segtasks.networks.architectures.layers import ConvRelu


class PackedConv(nn.Module):
    """A convolution or `ConvRelu` for inference on a CPU; it has no gradients and no state dict."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.after = "relu" if isinstance(conv, ConvRelu) else "none"
        self.geometry: list[Any] = [conv.padding, conv.stride, conv.dilation, conv.groups]
        self.bias = conv.bias
        self.weight = torch._C._nn.mkldnn_reorder_conv2d_weight(  # noqa: SLF001 no public name
            conv.weight.detach().to_mkldnn(), *self.geometry
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H', W')."""
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001 inductor's own operator
            x, self.weight, self.bias, *self.geometry, self.after, [], ""
        )
        return y


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch and this CPU support the fused operator for ``dtype`` (x86 wheels do)."""
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return False
    supported: dict[torch.dtype, Callable[[], bool]] = {
        torch.float32: torch.backends.mkldnn.is_available,
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,  # noqa: SLF001 no public name
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,  # noqa: SLF001 no public name
    }
    return bool(supported[dtype]())


def pack(module: nn.Module) -> None:
    """Replace every convolution in ``module`` by a packed one, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, PackedConv(child))
        else:
            pack(child)
