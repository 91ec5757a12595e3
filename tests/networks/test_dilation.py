"""Test Dilation: padding, units, context and upsampling against slow implementations."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks import build
from segtasks.networks.analysis.forward_cost import gmac
from segtasks.networks.analysis.receptive_field import ReceptiveField, receptive_field
from segtasks.networks.architectures.dilation import (
    BilinearPerClass,
    DilationContext,
    DilationFrontend,
    ZoomProbabilities,
    mirrored,
)
from segtasks.networks.architectures.dilation_context import (
    basic_context,
    large_context,
    to_identity,
)
from tests.helpers.tiling import image, network, piece, tiled, worst

WITH_CONTEXT = ["dilation7", "dilation8", "dilation8_large", "dilation10"]

# name: field of a unit (the table's), halo needed left and right of a core on the lattice, halo
FIELDS = [
    ("dilation_frontend", 380, (186, 194), 200),
    ("dilation7", 652, (322, 330), 336),
    ("dilation8", 908, (450, 458), 464),
    ("dilation8_large", 908, (450, 458), 464),
    ("dilation10", 2444, (1226, 1226), 1232),
]

# name, exact halo, a halo that is enough for the front-end alone (or not even for that)
HALOS = [
    ("dilation_frontend", 200, 128),
    ("dilation7", 336, 200),
    ("dilation8", 464, 200),
    ("dilation8_large", 464, 200),
]


def fresh(name: str) -> nn.Module:
    """Return a narrow float64 network with an identity context and positive front-end logits."""
    net = network(name).double()
    nn.init.normal_(net.get_parameter("final.weight"), std=0.1)
    nn.init.ones_(net.get_parameter("final.bias"))
    return net


def awake(name: str) -> nn.Module:
    """Return the same with a random context; no ReLU cuts off its input."""
    net = fresh(name)
    for key, parameter in net.named_parameters():
        if key.startswith("ctx_") and parameter.ndim > 1:
            nn.init.uniform_(parameter, 0, 2 / parameter[0].numel())
    return net


def field(name: str) -> ReceptiveField:
    probe = build(name, classes=1, bands=1, width=1 / 1024)
    found = receptive_field(probe, bands=1, lattice_px=8)
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "unit", "need", "halo"), FIELDS)
def test_receptive_fields_are_the_known_ones(
    name: str, unit: int, need: tuple[int, int], halo: int
) -> None:
    found = field(name)
    # the upsampling looks at two units, 8 px apart
    assert found.size_px == unit + 8
    assert found.need_px == need
    assert found.halo_px == halo


@pytest.mark.parametrize(("name", "halo", "short"), HALOS)
def test_tiled_equals_whole_at_the_exact_halo_and_only_there(
    name: str, halo: int, short: int
) -> None:
    net, x = awake(name), image(11, 1027).double()
    with torch.inference_mode():
        whole = net(x)
        assert worst(tiled(net, x, core=256, halo=halo), whole) <= 1e-12
        assert worst(tiled(net, x, core=256, halo=short), whole) > 1e-4


def test_a_core_at_one_border_is_mirrored_as_the_whole_image_is() -> None:
    net, x = fresh("dilation_frontend"), image(560, 571).double()
    rows, cols = (128, 256), (512, 571)
    with torch.inference_mode():
        whole = net(x)[:, :, slice(*rows), slice(*cols)]
        assert worst(piece(net, x, rows, cols, 200), whole) <= 1e-12


def test_a_core_of_dilation10_needs_1232_px() -> None:
    net, x = awake("dilation10"), image(3, 2600).double()
    with torch.inference_mode():
        whole = net(x)[:, :, :, 1296:1304]
        assert worst(piece(net, x, (0, 3), (1296, 1304), 1232), whole) <= 1e-12
        assert worst(piece(net, x, (0, 3), (1296, 1304), 464), whole) > 1e-4


@pytest.mark.parametrize("name", ["dilation_frontend", "dilation8"])
def test_off_the_lattice_no_halo_helps(name: str) -> None:
    net, x = fresh(name), image(3, 1400).double()
    with torch.inference_mode():
        whole = net(x)[:, :, :, 580:836]
        assert worst(piece(net, x, (0, 3), (580, 836), 512), whole) > 0.1


def test_the_released_tiles_seam_in_the_context_and_not_in_the_front_end() -> None:
    # predict.py: patches of real pixels 186 px wider than what they give, joined on units
    net, x = awake("dilation8"), image(3, 1024).double()
    assert isinstance(net, DilationContext)
    around = mirrored(x)
    with torch.inference_mode():
        whole = net.frontend(around)
        patches = [net.frontend(around[..., col : col + 256 + 372]) for col in range(0, 1024, 256)]
        joined = torch.cat([net.context(units) for units in patches], dim=3)
        assert worst(torch.cat(patches, dim=3), whole) <= 1e-12
        assert worst(joined, net.coarse_logits(x)) > 1e-2


@pytest.mark.parametrize(("side", "units"), [(380, 1), (900, 66), (1396, 128)])
def test_8n_plus_372_px_make_n_units(side: int, units: int) -> None:
    with torch.device("meta"):
        net = build("dilation_frontend", classes=2)
        assert isinstance(net, DilationFrontend)
        assert net.frontend(torch.empty(1, 3, side, side)).shape == (1, 2, units, units)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 5), (93, 186), (187, 400)])
def test_mirrors_are_those_of_numpy(size: tuple[int, int]) -> None:
    x = image(*size)
    around = [(186, 186 + -side % 8) for side in size]
    expected = np.pad(x.numpy(), [(0, 0), (0, 0), *around], mode="reflect")
    np.testing.assert_array_equal(mirrored(x).numpy(), expected)


def slow_interpolation(units: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate at h / 8, with unit 0 on pixel 0 and the last unit repeated."""
    out = np.empty((len(units), height, width))
    for h in range(height):
        for w in range(width):
            r, c, dr, dc = h // 8, w // 8, h % 8 / 8, w % 8 / 8
            below, right = min(r + 1, units.shape[1] - 1), min(c + 1, units.shape[2] - 1)
            upper = (1 - dc) * units[:, r, c] + dc * units[:, r, right]
            lower = (1 - dc) * units[:, below, c] + dc * units[:, below, right]
            out[:, h, w] = (1 - dr) * upper + dr * lower
    return out


@pytest.mark.parametrize("name", ["dilation_frontend", "dilation8"])
def test_the_softmax_of_the_logits_is_the_interpolated_probabilities(name: str) -> None:
    net, x = awake(name), image(21, 37).double()
    assert isinstance(net, DilationFrontend)
    with torch.inference_mode():
        units = net.coarse_logits(x).softmax(dim=1)[0].numpy()
        found = net(x).softmax(dim=1)[0].numpy()
    assert units.shape == (3, 3, 5)
    np.testing.assert_allclose(found, slow_interpolation(units, 21, 37), atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_logits_are_finite_where_a_probability_is_not_positive(dtype: torch.dtype) -> None:
    units = torch.tensor([0.0, 3e4]).to(dtype)[None, :, None, None].expand(1, 2, 2, 2)
    logits = ZoomProbabilities()(units)
    assert logits.isfinite().all()
    assert logits.softmax(dim=1)[0, :, 0, 0].tolist() == [pytest.approx(0, abs=1e-37), 1]


def test_the_deconvolution_of_dilation10_is_half_pixel_bilinear_inside() -> None:
    units = image(6, 7).double()
    found = BilinearPerClass(3).double()(units)
    expected = functional.interpolate(units, scale_factor=8, mode="bilinear")
    assert found.shape == expected.shape
    assert worst(found[:, :, 4:-4, 4:-4], expected[:, :, 4:-4, 4:-4]) <= 1e-14


def test_the_deconvolution_is_kept_and_neither_counted_nor_learnt() -> None:
    net = network("dilation10")
    assert net.state_dict()["ctx_upsample.weight"].shape == (3, 1, 16, 16)
    assert "ctx_upsample.weight" not in dict(net.named_parameters())


def chain(layers: list[nn.Module]) -> nn.Module:
    return nn.Sequential(*layers)


@pytest.mark.parametrize("levels", [7, 8, 10])
def test_a_new_basic_context_is_the_identity_behind_relu(levels: int) -> None:
    x = torch.randn(2, 5, 9, 4)
    assert torch.equal(chain(basic_context(5, levels))(x), x.clamp_min(0))


def test_a_new_large_context_without_its_noise_is_the_identity_behind_relu() -> None:
    x = torch.randn(2, 5, 9, 4)
    layers = large_context(5)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            to_identity(layer, 5, std=0.0)
    torch.testing.assert_close(chain(layers)(x), x.clamp_min(0))


@pytest.mark.parametrize(("before", "after"), list(pairwise([1, 2, 2, 4, 8, 16, 32, 1])))
def test_the_centre_of_the_large_context_follows_the_formula(before: int, after: int) -> None:
    C = 3
    conv = nn.Conv2d(C * before, C * after, 3)
    to_identity(conv, C, std=0.0)
    for b in range(C * after):
        for a in range(C * before):
            same = int(a * C / (C * before)) == int(b * C / (C * after))
            assert conv.weight[b, a].sum() == conv.weight[b, a, 1, 1] == (1 / after if same else 0)


def test_the_noise_of_the_large_context_is_the_published_one() -> None:
    layer = large_context(5)[5]
    assert isinstance(layer, nn.Conv2d)
    noise = layer.weight[layer.weight != 1 / 32]
    assert noise.numel() == layer.weight.numel() - 160 * 16
    assert noise.std().item() == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_width_does_not_narrow_the_context(name: str) -> None:
    shapes = [
        {key: value.shape for key, value in network(name, width=width).state_dict().items()}
        for width in (1 / 64, 1 / 32)
    ]
    assert {key for key in shapes[0] if shapes[0][key] == shapes[1][key]} >= {
        key for key in shapes[0] if key.startswith("ctx_")
    }
    assert shapes[0]["fc7.weight"] != shapes[1]["fc7.weight"]


# name, the context's layers with 3x3 kernels, their dilations
LAYERS = [
    ("dilation7", ["1_1", "1_2", "2_1", "3_1", "4_1"], [1, 1, 2, 4, 8]),
    ("dilation8", ["1_1", "1_2", "2_1", "3_1", "4_1", "5_1"], [1, 1, 2, 4, 8, 16]),
    ("dilation8_large", ["1_1", "1_2", "2_1", "3_1", "4_1", "5_1"], [1, 1, 2, 4, 8, 16]),
    (
        "dilation10",
        ["1_1", "1_2", "2_1", "3_1", "4_1", "5_1", "6_1", "7_1"],
        [1, 1, 2, 4, 8, 16, 32, 64],
    ),
]


@pytest.mark.parametrize(("name", "layers", "dilations"), LAYERS)
def test_the_context_has_caffes_names_and_the_papers_dilations(
    name: str, layers: list[str], dilations: list[int]
) -> None:
    net = network(name)
    found = {key: m for key, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    context = {key: m.dilation[0] for key, m in found.items() if key.startswith("ctx_")}
    named = dict(zip((f"ctx_conv{layer}" for layer in layers), dilations, strict=True))
    assert context == named | {"ctx_fc1": 1, "ctx_final": 1}
    assert found["final"].out_channels == 3


def test_the_weights_of_a_front_end_fit_the_other_networks() -> None:
    front = network("dilation_frontend").state_dict()
    for name in WITH_CONTEXT:
        missing, unexpected = network(name).load_state_dict(front, strict=False)
        assert not unexpected
        assert all(key.startswith("ctx_") for key in missing)


def large_context_gmac(C: int, units: int) -> float:
    """Count multiply-adds with one padding of 33, so that the first layers have more units."""
    total, side = 0, units + 66
    channels = [C * m for m in (1, 2, 2, 4, 8, 16, 32, 32)]
    for (a, b), d in zip(pairwise(channels), [1, 1, 2, 4, 8, 16, 1], strict=True):
        side -= 2 * d
        total += side**2 * a * b * 9
    assert side == units
    return (total + side**2 * 32 * C * C) / 1e9


# GMAC for 512 x 512 px, that is 884 x 884 with the mirrors and 64 x 64 units
GMACS = [
    ("dilation_frontend", 21, 750.2),
    ("dilation8", 21, 750.3),
    ("dilation7", 11, 750.1),
    ("dilation10", 19, 750.3),
    # The table's 778.1 is the context computed at 64 x 64 units throughout.
    ("dilation8_large", 21, 750.21 + large_context_gmac(21, 64)),
]


@pytest.mark.parametrize(("name", "classes", "expected"), GMACS)
def test_multiply_adds_are_those_of_the_tables(name: str, classes: int, expected: float) -> None:
    with torch.device("meta"):
        net = build(name, classes=classes)
    assert gmac(net, bands=3, height=512, width=512) == pytest.approx(expected, rel=1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["dilation_frontend", "dilation8_large", "dilation10"])
def test_torchscript_gives_the_same_logits(name: str) -> None:
    net, x = network(name), image(13, 30)
    with torch.inference_mode():
        found: Tensor = torch.jit.script(net)(x)
        torch.testing.assert_close(found, net(x))
