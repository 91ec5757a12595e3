"""Test receptive fields and costs against figures that were computed independently."""

import pytest
import torch
from torch import Tensor, nn

from segtasks.networks import build, spec
from segtasks.networks.analysis.forward_cost import (
    forward_bytes_per_px,
    gmac,
    gmac_per_mpx,
    parameters,
)
from segtasks.networks.analysis.receptive_field import (
    ReceptiveField,
    effective_halo_px,
    receptive_field,
)

# name: receptive field, halo needed left and right of a core on the lattice, exact halo
FIELDS = [
    ("fcn8s", 468, (221, 215), 224),
    # padding 1 instead of 100 shifts the units by 99 mod 32 = 3 px
    ("fcn8s_lean", 468, (218, 218), 224),
    ("largefov", 443, (217, 218), 224),
    ("linear", 1, (0, 0), 0),
]

# GMAC for 512 x 512 px, 21 classes; bilinear interpolation costs no multiply-adds here
GMACS = [("fcn8s", 190.4), ("fcn8s_lean", 111.3 - 0.47), ("largefov", 128.5)]


def field(name: str) -> ReceptiveField:
    probe = build(name, classes=2, width=1 / 64)
    found = receptive_field(probe, bands=3, lattice_px=spec(name).lattice_px)
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "size", "need", "halo"), FIELDS)
def test_receptive_fields_are_the_known_ones(
    name: str, size: int, need: tuple[int, int], halo: int
) -> None:
    found = field(name)
    assert found.size_px == size
    assert found.need_px == need
    assert found.halo_px == halo


def test_the_worst_phase_of_fcn8s_sees_245_px_to_the_left() -> None:
    assert max(field("fcn8s").left) == 245


def test_batch_norm_and_its_weights_do_not_change_the_field() -> None:
    probe = build("fcn8s_lean", classes=2, width=1 / 64, batch_norm=True)
    assert receptive_field(probe, bands=3, lattice_px=32) == field("fcn8s_lean")


def test_measuring_leaves_the_network_alone() -> None:
    probe = build("largefov", classes=2, width=1 / 64)
    before = {key: value.clone() for key, value in probe.state_dict().items()}
    receptive_field(probe, bands=3, lattice_px=8)
    forward_bytes_per_px(probe, bands=3)
    assert probe.training
    assert all(torch.equal(before[key], value) for key, value in probe.state_dict().items())


class GlobalMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x.mean(dim=(2, 3), keepdim=True)


def test_a_global_operator_has_no_field() -> None:
    assert receptive_field(GlobalMean(), bands=1, lattice_px=1) is None


def test_a_single_convolution_sees_its_kernel() -> None:
    found = receptive_field(nn.Conv2d(1, 1, 5, padding=2), bands=1, lattice_px=1)
    assert found == ReceptiveField(left=(2,), right=(2,))


def test_a_convolution_of_equal_weights_is_the_whole_effective_field() -> None:
    convolution = nn.Conv2d(1, 2, 5, padding=2)
    nn.init.ones_(convolution.weight)
    assert effective_halo_px(convolution, torch.randn(2, 1, 16, 16)) == 2


def test_the_effective_field_lies_inside_the_exact_halo() -> None:
    torch.manual_seed(0)
    probe = build("largefov", classes=3, width=1 / 32)
    found = effective_halo_px(probe, torch.randn(1, 3, 449, 449))
    assert 100 < found < 224


@pytest.mark.parametrize(("name", "expected"), GMACS)
def test_multiply_adds_are_those_of_the_tables(name: str, expected: float) -> None:
    with torch.device("meta"):
        network = build(name, classes=21)
    assert gmac(network, bands=3, height=512, width=512) == pytest.approx(expected, rel=1e-3)


def test_multiply_adds_per_megapixel_of_one_convolution() -> None:
    assert gmac_per_mpx(nn.Conv2d(3, 4, 1), bands=3) == pytest.approx(3 * 4 / 1e3)


def test_live_bytes_of_a_chain_are_its_two_widest_neighbours() -> None:
    chain = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 2, 1))
    # the input (1) is held by the caller while 4 -> 8 channels are computed
    assert forward_bytes_per_px(chain, bands=1) == 4 * (1 + 4 + 8)


def test_parameters_count_frozen_ones() -> None:
    network = nn.Linear(2, 3).requires_grad_(requires_grad=False)
    assert parameters(network) == 9
