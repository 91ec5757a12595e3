"""Test the seam halo on networks whose seam halo is known."""

import torch
from torch import Tensor, nn

from segtasks.networks.analysis.seam_halo import seam_halo_px


class Sum(nn.Module):
    """Two classes: the sign of the sum of the pixels ``reach`` to the left and right."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, (1, 2 * reach + 1), padding=(0, reach), bias=False)
        nn.init.constant_(self.conv.weight, 1.0)
        self.conv.weight.data[1] *= -1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


def noise(side: int) -> Tensor:
    return torch.randn(4, 1, side, side, generator=torch.Generator().manual_seed(0))


def test_the_halo_is_what_the_labels_need() -> None:
    assert seam_halo_px(Sum(20), noise(128), lattice_px=4) == 20


def test_a_reach_off_the_lattice_is_rounded_up() -> None:
    assert seam_halo_px(Sum(18), noise(128), lattice_px=8) == 24


def test_a_network_that_looks_at_one_pixel_needs_none() -> None:
    assert seam_halo_px(Sum(0), noise(64), lattice_px=8) == 0


def test_tiles_too_small_to_tell_give_none() -> None:
    assert seam_halo_px(Sum(60), noise(64), lattice_px=8) is None
