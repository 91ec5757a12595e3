"""A pyramid's averages over the whole raster: each piece's share in them, then heads that use them.

    first pass     patch --> features --> the units of its cell --> share      sum of all shares
                                                                                      |
    second pass    patch --> features ------------------------------------> head <-- grids

What is given to `runtime.forward_patches` is one patch, ``net`` being the runtime of a network
whose registry entry has a ``pooled_halo_px``.
"""

from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segtasks.networks.architectures.pyramid import Grids, Place
from segtasks.networks.inference.runtime import Runtime
from segtasks.raster.grid import Window

BINS = (1, 2, 3, 6)


class Pooled(Protocol):
    """A network that can be taken apart at its pyramid."""

    aligned: bool

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, h, w) at 1/8."""

    def pool(self, features: Tensor, place: Place | None = None) -> Grids:
        """(N, D, h, w) -> its share in the grids."""

    def head(self, features: Tensor, grids: Grids, place: Place | None = None) -> Tensor:
        """(N, D, h, w) and the grids -> logits (N, K, h, w)."""

    def enlarge(self, coarse: Tensor, x: Tensor) -> Tensor:
        """(N, K, h, w) -> (N, K, H, W), the size of ``x``."""


def sharing(net: Runtime, window: Window, cell: Window, raster: Window) -> Runtime:
    """What makes of the patch in ``window`` the share (1, D, 50) of its ``cell``."""
    return replace(net, module=_Share(net.module, window, cell, raster))


def heading(net: Runtime, window: Window, raster: Window, total: NDArray[np.float32]) -> Runtime:
    """What makes of the patch in ``window`` its logits, with the ``total`` (D, 50) of shares."""
    return replace(net, module=_Heads(net.module, window, raster, total))


class _Share(nn.Module):
    """(1, C, H, W) -> (1, D, 50), averages of 1 + 4 + 9 + 36 bins."""

    def __init__(self, module: nn.Module, window: Window, cell: Window, raster: Window) -> None:
        super().__init__()
        self.module = module
        self.place = _place(cell, raster, _pooled(module))
        inner = cell.within(window)
        self.first = inner[0].start // 8, inner[1].start // 8
        # The raster's last cells have the units of its padding too.
        self.height = None if cell.row_stop == raster.height else cell.height // 8
        self.width = None if cell.col_stop == raster.width else cell.width // 8

    def forward(self, x: Tensor) -> Tensor:
        """Pool the units of the cell, in float64."""
        net, (row, col) = _pooled(self.module), self.first
        own = net.features(x)[:, :, row:, col:][:, :, : self.height, : self.width]
        grids = net.pool(own.double(), self.place)
        return torch.cat([grid.flatten(2) for grid in grids], dim=2)


class _Heads(nn.Module):
    """(1, C, H, W) -> logits (1, K, H, W)."""

    def __init__(
        self, module: nn.Module, window: Window, raster: Window, total: NDArray[np.float32]
    ) -> None:
        super().__init__()
        self.module = module
        self.place = _place(window, raster, _pooled(module))
        self.total = torch.from_numpy(total)[None]

    def forward(self, x: Tensor) -> Tensor:
        """The network with the raster's grids in place of the patch's."""
        net, features = _pooled(self.module), _pooled(self.module).features(x)
        a, b, c, d = torch.split(self.total.to(features), [bins**2 for bins in BINS], dim=2)
        grids = (_square(a), _square(b), _square(c), _square(d))
        return net.enlarge(net.head(features, grids, self.place), x)


def _pooled(module: nn.Module) -> Pooled:
    return cast("Pooled", module)


def _square(grid: Tensor) -> Tensor:
    """(1, D, b * b) -> (1, D, b, b)."""
    bins = round(grid.shape[2] ** 0.5)
    return grid.reshape(*grid.shape[:2], bins, bins)


def _place(window: Window, raster: Window, net: Pooled) -> Place:
    """Where a window's units lie among those of the whole raster."""
    height, width = (_units(length, net) for length in raster.shape)
    return Place(window.row // 8, window.col // 8, height, width)


def _units(length: int, net: Pooled) -> int:
    """Units along an axis that the network pads to 8k + 1, or to 8k."""
    extra = int(net.aligned)
    return (length + (extra - length) % 8) // 8 + extra
