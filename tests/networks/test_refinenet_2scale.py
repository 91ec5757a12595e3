"""Test RefineNet of two scales against RefineNet of one scale, which has golden vectors."""

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks import build, spec
from segtasks.networks.analysis.receptive_field import receptive_field
from segtasks.networks.architectures.halving import Halving
from segtasks.networks.architectures.refine_block import Style
from segtasks.networks.architectures.refinenet_2scale import PairBlock, RefineNet2Scale
from tests.helpers.tiling import image, network, piece, worst

NAME = "refinenet50_2scale"
STYLE = Style(4, "bicubic", pool_first=True)


def two_scales() -> RefineNet2Scale:
    """Return the network with large weights, float64."""
    net = network(NAME)
    assert isinstance(net, RefineNet2Scale)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return net.double()


def of_one_scale(key: str) -> str:
    """Return the key in RefineNet for a key of the large image; paths are sequences here."""
    key = re.sub(r"\.large\.0\.", ".reduce.", key)
    key = re.sub(r"\.large\.([12])\.", lambda found: f".adapt.{int(found[1]) - 1}.", key)
    key = re.sub(r"\.large\.3\.", ".fusion.own.", key)
    return re.sub(r"\.deeper\.", ".fusion.deeper.", key)


def test_without_its_small_image_it_is_refinenet() -> None:
    net, x = two_scales(), image(64, 128).double()
    blocks = [net.refine1, net.refine2, net.refine3, net.refine4]
    for block in blocks:
        nn.init.zeros_(block.get_parameter("small.3.weight"))
    # The deepest block of one scale has nothing to join.
    nn.init.dirac_(net.get_parameter("refine4.large.3.weight"))
    one = build("refinenet50", classes=3, width=1 / 32).double().eval()
    state = {of_one_scale(key): value for key, value in net.state_dict().items()}
    kept = {key: value for key, value in state.items() if key in one.state_dict()}
    one.load_state_dict(kept, strict=True)
    with torch.inference_mode():
        assert worst(net(x), one(x)) <= 1e-12


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_every_tap_of_the_small_image_counts(stage: int) -> None:
    net, x = two_scales(), image(64, 128).double()
    with torch.inference_mode():
        whole = net(x)
        nn.init.zeros_(net.get_submodule(f"refine{stage}").get_parameter("small.3.weight"))
        assert worst(net(x), whole) > 1e-6


def test_a_block_adds_up_three_maps_at_the_size_of_the_largest() -> None:
    torch.manual_seed(0)
    block = PairBlock(3, 4, STYLE, deeper=2).double()
    large, small, deeper = (
        torch.randn(1, channels, *size, dtype=torch.float64)
        for channels, size in ((3, (6, 8)), (3, (3, 4)), (2, (3, 4)))
    )
    below = block.enlarge(block.get_submodule("deeper")(deeper))
    joined = block.large(large) + block.enlarge(block.small(small)) + below
    expected = block.output(block.pooling(joined))
    torch.testing.assert_close(block(large, small, deeper), expected)


def test_the_second_resnet_sees_half_of_the_padded_image() -> None:
    net, x = two_scales(), image(70, 40).double()
    seen: list[Tensor] = []
    first = net.small.get_submodule("conv1")
    handle = first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        net(x)
    handle.remove()
    assert torch.equal(seen[0], Halving()(functional.pad(x, [0, 24, 0, 58])))


def test_tiled_equals_whole_at_the_measured_halo_and_only_there() -> None:
    probe = build(NAME, classes=1, bands=1, width=1 / 1024)
    field = receptive_field(probe, bands=1, lattice_px=spec(NAME).lattice_px)
    assert field is not None
    # Measured here; the tiles below are the oracle.
    assert (field.size_px, field.halo_px) == (4316, 2176)
    net, x = two_scales(), image(32, 8192).double()

    def error(core: tuple[int, int], margin: int) -> float:
        return worst(piece(net, x, (0, 32), core, margin), whole[:, :, :, core[0] : core[1]])

    with torch.inference_mode():
        whole = net(x)
        assert error((4096, 4160), field.halo_px) <= 1e-12
        assert error((8064, 8192), field.halo_px) <= 1e-12
        assert error((4096, 4160), 768) > 1e-6
        # On the lattice of the large image alone: the half is cut between its units.
        assert error((4096, 4160), field.halo_px + 32) > 1e-3
