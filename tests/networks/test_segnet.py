"""Test SegNet and SegNet-Basic against their layer tables, run layer by layer, and tiling."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segtasks.networks import build
from segtasks.networks.analysis.forward_cost import forward_bytes_per_px, gmac
from segtasks.networks.analysis.receptive_field import ReceptiveField, receptive_field
from segtasks.networks.architectures.layers import ConvBnRelu, fold_batch_norm
from segtasks.networks.architectures.segnet import Pool, SegNet, Unpool
from segtasks.networks.inference.runtime import prepare
from tests.helpers.formula import formula_state
from tests.helpers.segnet_table import (
    BASIC_DECODER,
    BASIC_ENCODER,
    DECODER,
    ENCODER,
    maxima,
    normalised,
    put_back,
    table,
)
from tests.helpers.tiling import image, network, tiled, worst

BOTH = ["segnet", "segnet_basic"]
EXACT = [("segnet", 192, 32), ("segnet_basic", 96, 16)]

# name: receptive field, halo needed to each side of a core on the lattice, exact halo, lattice
FIELDS = [("segnet", 404, 186, 192, 32), ("segnet_basic", 202, 93, 96, 16)]


def formula_network(name: str) -> nn.Module:
    """Return a narrow network of four bands with different values in all weights and statistics."""
    net = build(name, classes=3, bands=4, width=1 / 32)
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if v.ndim}
    net.load_state_dict(formula_state(shapes), strict=False)
    return net.double().eval()


def pixels(height: int, width: int) -> Tensor:
    """Return raw values, 0...255, as the published weights take them."""
    generator = torch.Generator().manual_seed(4)
    return 255 * torch.rand(1, 4, height, width, generator=generator, dtype=torch.float64)


def test_segnet_is_its_layer_table() -> None:
    net, x = formula_network("segnet"), pixels(37, 45)
    with torch.inference_mode():
        expected = table(net.state_dict(), x, ENCODER, DECODER, "conv1_1_D")
        torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-10)


def test_segnet_basic_is_its_layer_table() -> None:
    net, x = formula_network("segnet_basic"), pixels(37, 45)
    with torch.inference_mode():
        state = net.state_dict()
        expected = table(state, normalised(x), BASIC_ENCODER, BASIC_DECODER, last="conv_classifier")
        torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 3), (1, 8)])
def test_maxima_go_back_to_where_they_were(size: tuple[int, int]) -> None:
    x = image(*size)
    pile: list[Any] = []
    y = Unpool()(Pool()(x, pile), pile)
    assert torch.equal(y, put_back(*maxima(x), x.shape[2:]))
    assert not pile


def test_odd_maps_get_their_own_size_back() -> None:
    net = build("segnet", classes=3, width=1 / 64).eval()
    sizes: list[tuple[int, ...]] = []
    net.get_submodule("unpool").register_forward_hook(lambda *a: sizes.append(a[2].shape[2:]))
    with torch.inference_mode():
        net(image(360, 480))
    assert sizes == [(23, 30), (45, 60), (90, 120), (180, 240), (360, 480)]


@pytest.mark.parametrize(("name", "size", "need", "halo", "lattice"), FIELDS)
def test_receptive_fields_are_the_known_ones(
    name: str, size: int, need: int, halo: int, lattice: int
) -> None:
    probe = build(name, classes=2, width=1 / 64)
    found = receptive_field(probe, bands=3, lattice_px=lattice)
    assert found is not None
    assert (found.size_px, found.need_px, found.halo_px) == (size, (need, need), halo)


class ForeignPlaces(nn.Module):
    """Values of the pixels themselves, in places that a 5x5 convolution decides."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, 1, 5, padding=2)
        self.pool = Pool()
        self.narrow = nn.AvgPool2d(2, ceil_mode=True)
        self.unpool = Unpool()

    def forward(self, x: Tensor) -> Tensor:
        pile: list[Any] = []
        self.pool(self.wide(x), pile)
        y: Tensor = self.unpool(self.narrow(x), pile)
        return y


def test_what_decides_the_place_counts_as_seen() -> None:
    found = receptive_field(ForeignPlaces(), bands=1, lattice_px=2)
    assert found == ReceptiveField(left=(2, 3), right=(3, 2))


@pytest.mark.parametrize(("name", "expected"), [("segnet", 161.6), ("segnet_basic", 89.8)])
def test_multiply_adds_are_those_of_the_tables(name: str, expected: float) -> None:
    with torch.device("meta"):
        module = build(name, classes=11)
    assert gmac(module, bands=3, height=512, width=512) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", BOTH)
def test_the_peak_is_one_convolution_of_full_maps(name: str) -> None:
    with torch.device("meta"):
        module = build(name, classes=11).eval()
    fold_batch_norm(module)
    # image, map of 64 channels in and out, and the half map it was unpooled from
    assert forward_bytes_per_px(module, bands=3) == 4 * (3 + 64 + 64 + 16)


@pytest.mark.parametrize(("name", "halo", "lattice"), EXACT)
def test_tiled_equals_whole_at_the_exact_halo_and_only_there(
    name: str, halo: int, lattice: int
) -> None:
    net, x = network(name).double(), image(96, 1024).double()
    with torch.inference_mode():
        whole = net(x)
        assert worst(tiled(net, x, core=256, halo=halo), whole) <= 1e-12
        assert worst(tiled(net, x, core=256, halo=halo - lattice), whole) > 1e-4


@pytest.mark.parametrize(("name", "halo", "lattice"), EXACT)
def test_off_the_lattice_no_halo_helps(name: str, halo: int, lattice: int) -> None:
    net, x = network(name).double(), image(96, 1024).double()
    with torch.inference_mode():
        off = tiled(net, x, core=256, halo=halo + 64, shift=256 + lattice // 2)
        assert worst(off, net(x)) > 0.1


@pytest.mark.parametrize("size", [(257, 259), (263, 1), (200, 517)])
@pytest.mark.parametrize(("name", "halo", "lattice"), EXACT)
def test_tiled_equals_whole_at_borders_of_any_size(
    name: str, halo: int, lattice: int, size: tuple[int, int]
) -> None:
    net, x = network(name).double(), image(*size).double()
    with torch.inference_mode():
        found = tiled(net, x, core=128 + lattice, halo=halo)
        assert worst(found, net(x)) <= 1e-12


@pytest.mark.parametrize(("name", "halo", "lattice"), EXACT)
def test_flat_areas_find_their_maxima_in_the_same_places(
    name: str, halo: int, lattice: int
) -> None:
    net, x = prepare(network(name)), image(96, 600)
    x[:, :, :, 100:500] = 0
    found = tiled(net, x, core=8 * lattice, halo=halo)  # type: ignore[arg-type]  # runs as a network
    assert worst(found, net(x)) <= 1e-5


@pytest.mark.parametrize("name", BOTH)
def test_the_fast_form_keeps_the_function(name: str) -> None:
    net, x = formula_network(name).float(), pixels(70, 45).float()
    with torch.inference_mode():
        expected = net(x)
    assert (prepare(net)(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", BOTH)
def test_torchscript_gives_the_same_logits(name: str) -> None:
    net, x = network(name), image(45, 70)
    with torch.inference_mode():
        torch.testing.assert_close(torch.jit.script(net)(x), net(x))


class Rectified(SegNet):
    """The known mistake: BatchNorm and ReLU on the logits."""

    def __init__(self) -> None:
        super().__init__(classes=3, width=1 / 32)
        self.conv1_1_D = ConvBnRelu(2, 3, 3, padding=1, bias=True)


def test_logits_are_not_rectified() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        assert (Rectified().eval()(image(64, 64)) >= 0).all()
        assert (network("segnet")(image(64, 64)).amin(dim=(2, 3)) < 0).all()


# where Bayesian SegNet drops: channels at width 1, and the stride of the map
DROPS = [(256, 8), (512, 16), (512, 32), (512, 16), (256, 8), (128, 4)]


def test_bayesian_segnet_drops_half_in_six_places() -> None:
    net = SegNet(classes=3, width=1 / 32, bayesian=True)
    shapes: list[tuple[int, ...]] = []
    net.dropout.register_forward_hook(lambda *a: shapes.append(tuple(a[2].shape[1:])))
    first, second = net(image(64, 96)), net(image(64, 96))
    assert not torch.equal(first, second)
    assert shapes[:6] == [(c // 32, 64 // stride, 96 // stride) for c, stride in DROPS]
    assert len(shapes) == 12
    dropped = net.dropout(torch.ones(10_000))
    assert dropped.unique().tolist() == [0, 2]
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def test_bayesian_segnet_is_segnet_in_eval_mode() -> None:
    x = image(64, 64)
    with torch.inference_mode():
        assert torch.equal(network("segnet", bayesian=True)(x), network("segnet")(x))


def test_plain_segnet_drops_nothing() -> None:
    net, x = network("segnet").train(), image(64, 64)
    assert torch.equal(net(x), net(x))


# name: shapes at width 1/32, four bands, three classes
SHAPES = {
    "segnet": {"conv1_1": (2, 4, 3, 3), "conv5_3_D": (16, 16, 3, 3), "conv1_1_D": (3, 2, 3, 3)},
    "segnet_basic": {"conv1": (2, 4, 7, 7), "conv_classifier": (3, 2, 1, 1)},
}


@pytest.mark.parametrize("name", BOTH)
def test_width_narrows_channels_but_not_bands_or_classes(name: str) -> None:
    net = formula_network(name)
    for key, shape in SHAPES[name].items():
        assert net.get_parameter(f"{key}.weight").shape == shape


@pytest.mark.parametrize("name", BOTH)
def test_batch_norm_starts_as_published(name: str) -> None:
    layers = [m for m in network(name).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(layers) == {"segnet": 25, "segnet_basic": 8}[name]
    for layer in layers:
        assert layer.eps == 1e-9
        assert (layer.weight == 1).all()
        assert (layer.bias == 0.001).all()


@pytest.mark.parametrize("name", BOTH)
def test_a_black_crop_does_not_break_training(name: str) -> None:
    net = network(name).train()
    net(torch.zeros(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
