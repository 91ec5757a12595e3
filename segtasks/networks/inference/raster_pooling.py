"""Pyramid pooling over the whole raster, in two passes over its patches.

    first pass     patch --> features --> units of its cell --> partial sums --> sum over all cells
                                                                                      |
    second pass    patch --> features ------------------------------------> head <-- grids

Both passes run with `runtime.forward_patches`, one patch at a time. ``net`` is the runtime of a
network whose registry entry has a ``pooled_halo_px``.
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
    """A network that can be split at its pyramid."""

    aligned: bool

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, h, w) at 1/8."""

    def pool(self, features: Tensor, place: Place | None = None) -> Grids:
        """(N, D, h, w) -> its contribution to the grids."""

    def head(self, features: Tensor, grids: Grids, place: Place | None = None) -> Tensor:
        """(N, D, h, w) and the grids -> logits (N, K, h, w)."""

    def enlarge(self, coarse: Tensor, x: Tensor) -> Tensor:
        """(N, K, h, w) -> (N, K, H, W), the size of ``x``."""


def pooling_pass(net: Runtime, window: Window, cell: Window, raster: Window) -> Runtime:
    """Return the runtime of the first pass: the patch in ``window`` -> partial sums (1, D, 50)."""
    return replace(net, module=_PartialSums(net.module, window, cell, raster))


def head_pass(net: Runtime, window: Window, raster: Window, total: NDArray[np.float32]) -> Runtime:
    """Return the runtime of the second pass: the patch in ``window`` -> its logits.

    ``total`` (D, 50) is the sum of the partial sums of all cells.
    """
    return replace(net, module=_HeadWithGrids(net.module, window, raster, total))


class _PartialSums(nn.Module):
    """(1, C, H, W) -> contributions (1, D, 50) to the averages of 1 + 4 + 9 + 36 bins."""

    def __init__(self, module: nn.Module, window: Window, cell: Window, raster: Window) -> None:
        super().__init__()
        self.module = module
        self.place = _place(cell, raster, _pooled(module))
        inner = cell.within(window)
        self.first = inner[0].start // 8, inner[1].start // 8
        # The last cells of the raster include the units of its padding.
        self.height = None if cell.row_stop == raster.height else cell.height // 8
        self.width = None if cell.col_stop == raster.width else cell.width // 8

    def forward(self, x: Tensor) -> Tensor:
        """Pool the units of the cell, computed in float64."""
        net, (row, col) = _pooled(self.module), self.first
        own = net.features(x)[:, :, row:, col:][:, :, : self.height, : self.width]
        grids = net.pool(own.double(), self.place)
        return torch.cat([grid.flatten(2) for grid in grids], dim=2)


class _HeadWithGrids(nn.Module):
    """(1, C, H, W) -> logits (1, K, H, W), with the grids of the whole raster."""

    def __init__(
        self, module: nn.Module, window: Window, raster: Window, total: NDArray[np.float32]
    ) -> None:
        super().__init__()
        self.module = module
        self.place = _place(window, raster, _pooled(module))
        self.total = torch.from_numpy(total)[None]

    def forward(self, x: Tensor) -> Tensor:
        """Run the network with the raster's grids instead of the patch's."""
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
    """Return where the units of a window lie among those of the whole raster."""
    # The network pads each side to 8k + 1 if aligned, else to 8k.
    extra = int(net.aligned)
    height, width = ((length + (extra - length) % 8) // 8 + extra for length in raster.shape)
    return Place(window.row // 8, window.col // 8, height, width)
