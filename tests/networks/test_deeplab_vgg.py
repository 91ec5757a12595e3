"""Test DeepLab v1 and v2 on VGG16: lattice, halos, heads, upsampling against slow code."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks import build
from segtasks.networks.analysis.forward_cost import gmac
from segtasks.networks.analysis.receptive_field import receptive_field
from segtasks.networks.architectures.atrous_vgg import AtrousVGG16
from segtasks.networks.architectures.deeplab_v1 import DeepLab, LargeFOV, MScLargeFOV
from segtasks.networks.architectures.deeplab_v2 import ASPP
from segtasks.networks.architectures.layers import enlarge_aligned
from tests.helpers.tiling import image, network, piece, tiled, worst

NAMES = ["deeplab_v1", "largefov", "msc_largefov", "aspp_s", "aspp_l"]

# name: receptive field, halo needed left and right of a core on the lattice, exact halo
FIELDS = [
    # not in the table, see `test_the_field_of_deeplab_v1_is_what_its_layers_add_up_to`
    ("deeplab_v1", 316, (161, 155), 168),
    ("msc_largefov", 443, (217, 218), 224),
    ("aspp_s", 427, (209, 210), 216),
    ("aspp_l", 619, (305, 306), 312),
]
# name, exact halo, a halo that is not enough
HALOS = [
    ("deeplab_v1", 168, 128),
    ("largefov", 224, 192),
    ("msc_largefov", 224, 192),
    ("aspp_s", 216, 160),
    ("aspp_l", 312, 256),
]


@pytest.mark.parametrize(("name", "size", "need", "halo"), FIELDS)
def test_receptive_fields_are_the_known_ones(
    name: str, size: int, need: tuple[int, int], halo: int
) -> None:
    found = receptive_field(build(name, classes=2, width=1 / 64), bands=3, lattice_px=8)
    assert found is not None
    assert found.size_px == size
    assert found.need_px == need
    assert found.halo_px == halo


def test_the_field_of_deeplab_v1_is_what_its_layers_add_up_to() -> None:
    # (kernel, stride, dilation) of each layer
    conv, pool = (3, 1, 1), (2, 2, 1)
    early = [conv, conv, pool, conv, conv, pool, conv, conv, conv, pool]
    late = [conv, conv, conv, (2, 1, 1), *3 * [(3, 1, 2)], conv, (4, 1, 4)]
    size, jump = 1, 1
    for kernel, stride, dilation in [*early, *late]:
        size += jump * dilation * (kernel - 1)
        jump *= stride
    assert (size, jump) == (308, 8)
    # the zoom looks at two units
    assert FIELDS[0][1] == size + jump


@pytest.mark.parametrize(("name", "halo", "short"), HALOS)
def test_tiled_equals_whole_at_the_exact_halo_and_only_there(
    name: str, halo: int, short: int
) -> None:
    net, x = network(name).double(), image(67, 1027).double()
    with torch.inference_mode():
        whole = net(x)
        assert worst(tiled(net, x, core=256, halo=halo), whole) <= 1e-12
        assert worst(tiled(net, x, core=256, halo=short), whole) > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_off_the_lattice_no_halo_helps(name: str) -> None:
    net, x = network(name).double(), image(32, 1024).double()
    with torch.inference_mode():
        whole = net(x)[:, :, :, 388:644]
        # no more: the heads of msc_largefov on the input, pool1 and pool2 stay right
        assert worst(piece(net, x, (0, 32), (388, 644), 320), whole) > 0.05


@pytest.mark.parametrize(("name", "halo", "_"), HALOS)
def test_a_core_at_two_borders_is_padded_as_the_whole_image_is(
    name: str, halo: int, _: int
) -> None:
    net, x = network(name).double(), image(413, 411).double()
    rows, cols = (408, 413), (368, 411)
    with torch.inference_mode():
        whole = net(x)[:, :, slice(*rows), slice(*cols)]
        assert worst(piece(net, x, rows, cols, halo), whole) <= 1e-12


def pooled(net: AtrousVGG16, side: int) -> list[int]:
    """Return the sides of the maps behind pool1 ... pool4."""
    with torch.device("meta"):
        x, sides = torch.empty(1, 3, side, side), []
        for block, pool in [
            (net.block1, net.pool1),
            (net.block2, net.pool2),
            (net.block3, net.pool3),
            (net.block4, net.pool4),
        ]:
            x = pool(block(x))
            sides.append(x.shape[2])
    return sides


@pytest.mark.parametrize(
    ("name", "side", "sides"),
    [
        ("largefov", 321, [161, 81, 41, 41]),
        ("aspp_l", 513, [257, 129, 65, 65]),
        # test.prototxt: n = 16k + 2 gives m = 2k + 3
        ("deeplab_v1", 306, [154, 78, 40, 41]),
        ("deeplab_v1", 514, [258, 130, 66, 67]),
    ],
)
def test_pools_give_the_published_sizes(name: str, side: int, sides: list[int]) -> None:
    with torch.device("meta"):
        net = build(name, classes=2, width=1 / 64)
        assert isinstance(net, AtrousVGG16)
        assert pooled(net, side) == sides
        assert isinstance(net, DeepLab | LargeFOV | ASPP)
        assert net.coarse_logits(torch.empty(1, 3, side, side)).shape[2] == sides[-1]


def slow_zoom(units: np.ndarray, factor: int) -> np.ndarray:
    """Interpolate linearly, with unit i on pixel factor * i."""
    height, width = (factor * (side - 1) + 1 for side in units.shape[1:])
    out = np.empty((len(units), height, width))
    for h in range(height):
        for w in range(width):
            r, c, dr, dc = h // factor, w // factor, h % factor / factor, w % factor / factor
            below, right = min(r + 1, units.shape[1] - 1), min(c + 1, units.shape[2] - 1)
            upper = (1 - dc) * units[:, r, c] + dc * units[:, r, right]
            lower = (1 - dc) * units[:, below, c] + dc * units[:, below, right]
            out[:, h, w] = (1 - dr) * upper + dr * lower
    return out


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 2)])
def test_the_zoom_is_bilinear_between_units(factor: int, size: tuple[int, int]) -> None:
    units = image(*size).double()
    expected = slow_zoom(units[0].numpy(), factor)
    np.testing.assert_allclose(enlarge_aligned(units, factor)[0].numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("size", [(1, 1), (17, 25), (20, 30)])
def test_units_of_largefov_lie_on_every_eighth_pixel(size: tuple[int, int]) -> None:
    net, x = network("largefov"), image(*size)
    assert isinstance(net, LargeFOV)
    with torch.inference_mode():
        found, units = net(x)[:, :, ::8, ::8], net.coarse_logits(x)
    torch.testing.assert_close(found, units[:, :, : found.shape[2], : found.shape[3]])


@pytest.mark.parametrize("size", [(1, 1), (18, 26), (20, 30)])
def test_units_of_deeplab_v1_lie_seven_pixels_before(size: tuple[int, int]) -> None:
    net, x = network("deeplab_v1"), image(*size)
    assert isinstance(net, DeepLab)
    with torch.inference_mode():
        whole, units = net(x), net.coarse_logits(x)
    found = whole[:, :, 1::8, 1::8]
    inside = units[:, :, 1 : 1 + found.shape[2], 1 : 1 + found.shape[3]]
    torch.testing.assert_close(found, inside)
    # pixel 0 is 7/8 of the way from the unit before the image to the first inside
    corner = slow_zoom(units[0, :, :2, :2].double().numpy(), 8)[:, 7, 7]
    np.testing.assert_allclose(whole[0, :, 0, 0].numpy(), corner, rtol=1e-4, atol=1e-7)


def test_the_heads_of_msc_largefov_are_zoomed_and_summed() -> None:
    net, x = network("msc_largefov").double(), image(17, 33).double()
    assert isinstance(net, MScLargeFOV)
    maps = {"data": (x, 1)}
    with torch.inference_mode():
        maps["pool1"] = net.pool1(net.block1(x)), 2
        maps["pool2"] = net.pool2(net.block2(maps["pool1"][0])), 4
        maps["pool3"] = net.pool3(net.block3(maps["pool2"][0])), 8
        maps["pool4"] = net.pool4(net.block4(maps["pool3"][0])), 8
        expected = slow_zoom(net.from_pool4(maps["pool4"][0])[0].numpy(), 8)
        for name, (source, factor) in maps.items():
            layers = [net.get_submodule(f"{name}_{layer}") for layer in ("conv", "fc", "ms")]
            expected = expected + slow_zoom(nn.Sequential(*layers)(source)[0].numpy(), factor)
        np.testing.assert_allclose(net(x)[0].numpy(), expected, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "rates"), [("aspp_s", (2, 4, 8, 12)), ("aspp_l", (6, 12, 18, 24))]
)
def test_aspp_is_the_sum_of_four_dilated_heads(name: str, rates: tuple[int, ...]) -> None:
    net, x = network(name).double(), image(65, 81).double()
    assert isinstance(net, ASPP)
    state = net.state_dict()

    def conv(x: Tensor, key: str, rate: int = 0) -> Tensor:
        weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
        return functional.conv2d(x, weight, bias, padding=rate, dilation=max(1, rate))

    with torch.inference_mode():
        pool5 = net.pool5(net.block5(net.to_pool4(x)))
        expected = torch.zeros(1, 3, 9, 11, dtype=torch.float64)
        for i, rate in enumerate(rates, start=1):
            hidden = conv(conv(pool5, f"fc6_{i}", rate).relu(), f"fc7_{i}").relu()
            expected = expected + conv(hidden, f"fc8_{i}")
        torch.testing.assert_close(net.coarse_logits(x), expected)


@pytest.mark.parametrize("name", ["largefov", "msc_largefov"])
def test_pool5a_divides_by_nine_at_borders_too(name: str) -> None:
    x = image(4, 3)
    framed = functional.pad(x, [1, 1, 1, 1])
    expected = sum(framed[:, :, i : i + 4, j : j + 3] for i in range(3) for j in range(3)) / 9
    torch.testing.assert_close(network(name).get_submodule("pool5a")(x), expected)


@pytest.mark.parametrize("name", ["deeplab_v1", "aspp_s", "aspp_l"])
def test_there_is_no_pool5a_elsewhere(name: str) -> None:
    assert "pool5a" not in dict(network(name).named_children())


# GMAC for one image of 512 or 513 px (padded to 513), 21 classes; the table cuts its decimals off
GMACS = [("msc_largefov", 147.3), ("aspp_s", 201.9), ("aspp_l", 201.9)]


@pytest.mark.parametrize("side", [512, 513])
@pytest.mark.parametrize(("name", "expected"), GMACS)
def test_multiply_adds_are_those_of_the_tables(name: str, expected: float, side: int) -> None:
    with torch.device("meta"):
        net = build(name, classes=21)
    assert gmac(net, bands=3, height=side, width=side) == pytest.approx(expected, rel=1e-3)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["deeplab_v1", "msc_largefov", "aspp_l"])
def test_torchscript_gives_the_same_logits(name: str) -> None:
    net, x = network(name), image(13, 30)
    with torch.inference_mode():
        found: Tensor = torch.jit.script(net)(x)
        torch.testing.assert_close(found, net(x))
