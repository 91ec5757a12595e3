"""Atrous spatial pyramid pooling of DeepLab v3. Chen et al. 2017, arXiv:1706.05587, fig. 5.

    map -> 1x1, 3x3 d12, 3x3 d24, 3x3 d36 and the mean of the map, in parallel [-> 1x1]

"d12" means a dilation of 12. The mean is global, so no halo makes tiles exact.
"""

import torch
from torch import Tensor, nn

from segtasks.networks.architectures.layers import ConvBnRelu

_RATES = (12, 24, 36)


class Branches(nn.Module):
    """Five parallel branches, concatenated. Keys ``branches.0`` ... ``branches.3``, ``mean``.

    Args:
        channels: channels C of the map.
        inner: channels D of each branch.
        mean_first: whether the mean of the map comes before the other four branches
            (mmsegmentation) or after them. Weights of one order load into the other, wrongly.
    """

    def __init__(self, channels: int, inner: int, *, mean_first: bool = False) -> None:
        super().__init__()
        self.branches = nn.ModuleList([ConvBnRelu(channels, inner, 1)])
        for rate in _RATES:
            self.branches.append(ConvBnRelu(channels, inner, 3, padding=rate, dilation=rate))
        self.mean = ConvBnRelu(channels, inner, 1)
        self.mean_first = mean_first

    def joined(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 5 D, h, w)."""
        parts = [branch(x) for branch in self.branches]
        mean: Tensor = self.mean(x.mean(dim=(2, 3), keepdim=True))
        whole = mean.expand(-1, -1, x.shape[2], x.shape[3])
        # Channels last, as the runtime has the other branches: concatenation needs no copy.
        whole = whole.contiguous(memory_format=torch.channels_last)
        parts.insert(0 if self.mean_first else len(parts), whole)
        return torch.cat(parts, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 5 D, h, w)."""
        return self.joined(x)


class ASPP(Branches):
    """The branches, then a 1x1: (N, C, h, w) -> (N, D, h, w). An additional key is ``project``."""

    def __init__(self, channels: int, inner: int, *, dropout: float = 0.5) -> None:
        super().__init__(channels, inner)
        self.project = ConvBnRelu(5 * inner, inner, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, D, h, w)."""
        y: Tensor = self.dropout(self.project(self.joined(x)))
        return y
