"""Tiled = whole: exactly at the exact halo, and visibly not below it or off the lattice.

The thresholds come out right only if padding, dilation, stride and phase are right: they test the
networks as much as the tiling. facts/networks.md section C.
"""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from segtasks.networks import build, entry

WIDTH = 1 / 32
DEEP = ["fcn8s", "fcn8s_lean", "largefov"]


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(name, classes=3, width=WIDTH).eval()


def image(height: int, width: int) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def spans(size: int, core: int, shift: int) -> list[tuple[int, int]]:
    """Cores along one axis, half-open, cut at ``shift`` + multiples of ``core``."""
    cuts = sorted({0, size, *range(shift or core, size, core)})
    return list(pairwise(cuts))


def tiled(net: nn.Module, x: Tensor, *, core: int, halo: int, shift: int = 0) -> Tensor:
    """Cores from windows of core + halo, clipped at the image's border."""
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
    """Largest difference in standard deviations of the expected logits."""
    return float((found - expected).abs().max() / expected.std())


@pytest.mark.parametrize("name", DEEP)
def test_tiled_equals_whole_at_the_exact_halo_and_only_there(name: str) -> None:
    net, x = network(name).double(), image(96, 1024).double()
    with torch.inference_mode():
        whole = net(x)
        exact = worst(tiled(net, x, core=256, halo=224), whole)
        short = worst(tiled(net, x, core=256, halo=192), whole)
    assert exact <= 1e-12
    assert short > 1e-4


@pytest.mark.parametrize(("name", "shift"), [("fcn8s", 8), ("fcn8s_lean", 8), ("largefov", 4)])
def test_off_the_lattice_no_halo_helps(name: str, shift: int) -> None:
    net, x = network(name).double(), image(96, 1024).double()
    with torch.inference_mode():
        off = worst(tiled(net, x, core=256, halo=256, shift=256 + shift), net(x))
    assert off > 0.1


@pytest.mark.parametrize("name", DEEP)
def test_tiled_equals_whole_at_borders_of_any_size(name: str) -> None:
    net, x = network(name), image(700, 517)
    with torch.inference_mode():
        whole = net(x)
        assert worst(tiled(net, x, core=256, halo=224), whole) <= 1e-5


@pytest.mark.parametrize("size", [(257, 259), (288, 289), (263, 1)])
@pytest.mark.parametrize("name", DEEP)
def test_a_sliver_of_a_core_at_the_border_is_exact(name: str, size: tuple[int, int]) -> None:
    net, x = network(name).double(), image(*size).double()
    with torch.inference_mode():
        assert worst(tiled(net, x, core=256, halo=224), net(x)) <= 1e-12


def test_a_pixel_classifier_needs_no_halo() -> None:
    net, x = network("linear"), image(37, 53)
    with torch.inference_mode():
        assert worst(tiled(net, x, core=10, halo=0), net(x)) <= 1e-6


@pytest.mark.parametrize("name", DEEP)
def test_cores_of_the_lattice_itself_are_enough(name: str) -> None:
    lattice = entry(name).lattice_px
    net, x = network(name).double(), image(1, 640).double()
    with torch.inference_mode():
        whole = net(x)
        found = piece(net, x, (0, 1), (320, 320 + lattice), 224)
    assert worst(found, whole[:, :, :, 320 : 320 + lattice]) <= 1e-12
