"""Run networks by tiles and as a whole: the simple, slow reference of the tests."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from segtasks.networks import build

WIDTH = 1 / 32


def network(name: str, *, width: float = WIDTH, **variant: Any) -> nn.Module:  # noqa: ANN401 the options of `build`
    torch.manual_seed(0)
    return build(name, classes=3, width=width, **variant).eval()


def image(height: int, width: int) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def spans(size: int, core: int, shift: int) -> list[tuple[int, int]]:
    """Return cores along one axis, half-open, cut at ``shift`` + multiples of ``core``."""
    cuts = sorted({0, size, *range(shift or core, size, core)})
    return list(pairwise(cuts))


def tiled(net: nn.Module, x: Tensor, *, core: int, halo: int, shift: int = 0) -> Tensor:
    """Return an image joined from cores; windows are core + halo, clipped at the image's border."""
    rows, cols = (spans(size, core, shift) for size in x.shape[2:])
    bands = [torch.cat([piece(net, x, row, col, halo) for col in cols], dim=3) for row in rows]
    return torch.cat(bands, dim=2)


def piece(
    net: nn.Module, x: Tensor, row: tuple[int, int], col: tuple[int, int], halo: int
) -> Tensor:
    top, left = max(0, row[0] - halo), max(0, col[0] - halo)
    y = net(x[:, :, top : row[1] + halo, left : col[1] + halo])
    out: Tensor = y[:, :, row[0] - top : row[1] - top, col[0] - left : col[1] - left]
    return out


def worst(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference in standard deviations of the expected logits."""
    return float((found - expected).abs().max() / expected.std())
