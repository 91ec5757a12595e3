"""Test tiled = whole: it holds at the exact halo, and visibly not below it or off the lattice.

The thresholds come out right only if padding, dilation, stride and phase are right: they test the
networks as much as the tiling. facts/networks.md section C.
"""

import pytest
import torch

from segtasks.networks import spec
from tests.helpers.tiling import image, network, piece, tiled, worst

DEEP = ["fcn8s", "fcn8s_lean", "largefov"]


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
    lattice = spec(name).lattice_px
    net, x = network(name).double(), image(1, 640).double()
    with torch.inference_mode():
        whole = net(x)
        found = piece(net, x, (0, 1), (320, 320 + lattice), 224)
    assert worst(found, whole[:, :, :, 320 : 320 + lattice]) <= 1e-12
