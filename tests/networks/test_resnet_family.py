"""Test parts of the networks on ResNets: trunk, heads, pyramid, doubling, chained pooling."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segtasks.errors import ModelError
from segtasks.networks import build, spec
from segtasks.networks.analysis.forward_cost import gmac
from segtasks.networks.architectures.dilated import Dilated
from segtasks.networks.architectures.doubling import Doubling
from segtasks.networks.architectures.halving import Halving
from segtasks.networks.architectures.pyramid import Place, Pyramid, pool
from segtasks.networks.architectures.refine_block import ChainedPooling
from segtasks.networks.architectures.resnet import Form, ResNet
from segtasks.networks.inference.runtime import prepare

WIDTH = 1 / 32
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("deeplabv2_resnet101", {}),
    ("pspnet50", {"auxiliary": True}),
    ("mmseg_pspnet50", {}),
    ("smp_pspnet50", {}),
    ("fcn_resnet50", {"auxiliary": True}),
    ("deeplabv3_resnet50", {}),
    ("mmseg_fcn_resnet50", {"auxiliary": True}),
    ("mmseg_deeplabv3_resnet50", {}),
    ("smp_deeplabv3_resnet50", {}),
    ("refinenet50", {}),
    ("refinenet50", {"output_stride": 1, "pool_first": False, "upsampling": "align_corners"}),
    ("refinenet50_2scale", {}),
]
WITH_AUXILIARY = [
    *("pspnet50", "mmseg_pspnet50", "fcn_resnet50", "deeplabv3_resnet50"),
    *("mmseg_fcn_resnet50", "mmseg_deeplabv3_resnet50"),
]

# side, 1e9 multiply-adds: facts/networks.md 0.1, sections 6 and 7
GMACS = [
    ("deeplabv2_resnet101", 512, 188.9),
    ("pspnet101", 473, 229.8),
    ("pspnet101", 713, 517.2),
    ("refinenet50", 512, 243.5),
    ("refinenet101", 512, 262.9),
    ("refinenet152", 512, 282.3),
    # RefineNet-50; a trunk on a quarter of the pixels; the paths of its taps, added up by hand
    ("refinenet50_2scale", 512, 243.5 + 21.37 / 4 + 22.05),
]


def narrow_network(name: str, **variant: Any) -> nn.Module:  # noqa: ANN401 the options of `build`
    torch.manual_seed(0)
    return build(name, classes=5, bands=4, width=WIDTH, **variant).eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "side", "expected"), GMACS)
def test_multiply_adds_are_those_of_the_tables(name: str, side: int, expected: float) -> None:
    with torch.device("meta"):
        network = build(name, classes=21)
    assert gmac(network, bands=3, height=side, width=side) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("form", "halved", "dilations"),
    [
        (Form(50), ["conv2"] * 3, [1, 1, 1, 1, 1, 1]),
        (Form(50, stride_at="1x1", dilations=(1, 1, 2, 4)), ["conv1"], [1, 1, 2, 2, 4, 4]),
        (Form(50, dilations=(1, 1, 2, 4)), ["conv2"], [1, 1, 2, 2, 4, 4]),
        (Form(50, dilations=(1, 1, 2, 4), contracted=True), ["conv2"], [1, 1, 1, 2, 2, 4]),
    ],
)
def test_strides_and_dilations_are_those_of_the_form(
    form: Form, halved: list[str], dilations: list[int]
) -> None:
    trunk = ResNet(form, bands=3, width=1 / 64)
    convs = {name: m for name, m in trunk.named_modules() if isinstance(m, nn.Conv2d)}
    strided = [name for name, conv in convs.items() if conv.stride == (2, 2) and name != "conv1"]
    assert [name.split(".")[2] for name in strided if "shortcut" not in name] == halved
    assert len(strided) == 2 * len(halved)
    found = [convs[f"layer{s}.{b}.conv2"].dilation[0] for s in (2, 3, 4) for b in (0, 1)]
    assert found == dilations


def test_the_pooled_map_is_rounded_up_where_caffe_does() -> None:
    x = noise(1, 3, 32, 32)
    forms = [Form(50, ceil_pool=up) for up in (False, True)]
    sides = [ResNet(form, bands=3, width=WIDTH).stem(x).shape[2] for form in forms]
    assert sides == [8, 9]


def test_width_narrows_channels_but_not_bands_or_classes() -> None:
    network = narrow_network("pspnet50")
    assert network.get_parameter("conv1_1.weight").shape == (2, 4, 3, 3)
    assert network.get_parameter("layer4.2.conv3.weight").shape == (64, 16, 1, 1)
    assert network.get_parameter("ppm.convs.3.weight").shape == (16, 64, 1, 1)
    assert network.get_parameter("main.classifier.weight").shape == (5, 16, 1, 1)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_folding_and_packing_keep_the_function(name: str, variant: dict[str, Any]) -> None:
    network, x = narrow_network(name, **variant), noise(1, 4, 64, 64)
    generator = torch.Generator().manual_seed(2)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(std=0.1, generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
    with torch.inference_mode():
        expected = network(x)
        ready = prepare(network)
        found = ready(x)
    assert not [m for m in ready.module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_torchscript_gives_the_same_logits(name: str, variant: dict[str, Any]) -> None:
    network, x = narrow_network(name, **variant), noise(1, 4, 20, 30)
    with torch.inference_mode():
        assert torch.equal(torch.jit.script(network)(x), network(x))


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_coarse_logits_are_at_the_output_stride(name: str, variant: dict[str, Any]) -> None:
    stride = variant.get("output_stride", spec(name).output_stride)
    rules = {"8k": (64, 96), "8k+1": (65, 97), "32k": (64, 96), "64k": (64, 128)}
    rule = rules[spec(name).size_rule]
    with torch.inference_mode():
        found = narrow_network(name, **variant).coarse_logits(noise(1, 4, *rule))  # type: ignore[operator]
    assert found.shape == (1, 5, *(-(-side // stride) for side in rule))


@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_training_gives_the_logits_and_those_of_layer3(name: str) -> None:
    network, x = narrow_network(name, auxiliary=True), noise(1, 4, 37, 50)
    assert isinstance(network, Dilated)
    main, auxiliary = network.training_logits(x)
    assert torch.equal(main, network(x))
    assert auxiliary.shape == main.shape
    auxiliary.sum().backward()  # type: ignore[no-untyped-call]
    assert network.get_parameter("layer3.0.conv1.weight").grad is not None
    assert network.get_parameter("layer4.0.conv1.weight").grad is None


def test_training_without_an_auxiliary_head_is_refused() -> None:
    network = narrow_network("pspnet50")
    assert isinstance(network, Dilated)
    with pytest.raises(ModelError, match="no auxiliary head; build it with auxiliary=True"):
        network.training_logits(noise(1, 4, 9, 9))


@pytest.mark.parametrize(
    ("variant", "match"),
    [
        ({"upsampling": "nearest"}, "'nearest' is unknown; choose one of bicubic, bilinear"),
        ({"chained_pools": 0}, "chained_pools is 0; it must be at least 1"),
        ({"output_stride": 2}, r"output_stride is 2; choose 4 \(published\) or 1"),
    ],
)
def test_impossible_options_of_refinenet_are_refused(variant: dict[str, Any], match: str) -> None:
    with pytest.raises(ModelError, match=match):
        build("refinenet50", classes=2, width=WIDTH, **variant)


SIZES = [(1, 1), (5, 7), (13, 6), (64, 40)]


@pytest.mark.parametrize("size", SIZES)
def test_the_pyramid_pools_as_torch_does(size: tuple[int, int]) -> None:
    x = noise(2, 3, *size).double()
    for bins, found in zip((1, 2, 3, 6), pool(x, None), strict=True):
        assert torch.allclose(found, functional.adaptive_avg_pool2d(x, bins), atol=1e-12)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_the_pyramid_spreads_as_torch_does(size: tuple[int, int], aligned: bool) -> None:  # noqa: FBT001 a row
    x, convs = noise(2, 3, *size).double(), [nn.Conv2d(3, 2, 1) for _ in range(4)]
    grids = pool(x, None)
    found = Pyramid(convs, aligned=aligned).double()(x, grids, None)
    for conv, grid, spread in zip(convs, grids, found, strict=True):
        expected = functional.interpolate(
            conv(grid), size=size, mode="bilinear", align_corners=aligned
        )
        assert torch.allclose(spread, expected, atol=1e-12)


@pytest.mark.parametrize("images", [1, 2])
def test_the_pyramid_keeps_the_layout_of_the_runtime(images: int) -> None:
    x = noise(images, 3, 13, 6).contiguous(memory_format=torch.channels_last)
    pyramid = Pyramid([nn.Identity() for _ in range(4)], aligned=False)  # type: ignore[misc]
    for part in pyramid(x, pool(x, None), None):
        assert part.is_contiguous(memory_format=torch.channels_last)


def test_shares_of_pieces_add_up_to_the_grids() -> None:
    x = noise(1, 3, 13, 17).double()
    cuts = [(slice(0, 4), slice(0, 9)), (slice(0, 4), slice(9, 17)), (slice(4, 13), slice(0, 17))]
    shares = [pool(x[:, :, r, c], Place(r.start, c.start, 13, 17)) for r, c in cuts]
    for found, expected in zip(zip(*shares, strict=True), pool(x, None), strict=True):
        assert torch.allclose(torch.stack(found).sum(dim=0), expected, atol=1e-12)


def keys(distance: NDArray[Any]) -> NDArray[Any]:
    """Return the cubic kernel of Keys 1981 with a = -0.5."""
    t = np.abs(distance)
    inner, outer = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, inner, np.where(t < 2, outer, 0.0))


def slow_double(x: NDArray[Any]) -> NDArray[Any]:
    """Double one axis by the definition: half-pixel positions, a mirrored line, all taps."""
    line = np.pad(x, 2 * len(x) + 4, mode="symmetric")
    units = np.arange(len(line)) - (2 * len(x) + 4)
    return np.array([(keys((j + 0.5) / 2 - 0.5 - units) * line).sum() for j in range(2 * len(x))])


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_bicubic_doubling_is_imresize(size: int) -> None:
    x = noise(1, 1, 1, size).double()
    found = Doubling("bicubic")(x)[0, 0]
    np.testing.assert_allclose(found[0], slow_double(x[0, 0, 0].numpy()), atol=1e-12)
    torch.testing.assert_close(Doubling("bicubic")(x.mT)[0, 0].mT, found)


def test_bicubic_doubling_is_that_of_pillow_inside() -> None:
    x = noise(1, 1, 12, 10)
    expected = Image.fromarray(x[0, 0].numpy()).resize((20, 24), Image.Resampling.BICUBIC)
    found = Doubling("bicubic")(x)[0, 0].numpy()
    np.testing.assert_allclose(found[4:-4, 4:-4], np.asarray(expected)[4:-4, 4:-4], atol=1e-5)


def slow_halve(x: NDArray[Any]) -> NDArray[Any]:
    """Halve one axis as `slow_double`, with the kernel twice as wide."""
    line = np.pad(x, 2 * len(x) + 4, mode="symmetric")
    units = np.arange(len(line)) - (2 * len(x) + 4)
    taps = [keys((2 * j + 0.5 - units) / 2) / 2 for j in range(len(x) // 2)]
    return np.array([(tap * line).sum() for tap in taps])


@pytest.mark.parametrize("size", [2, 4, 18])
def test_halving_is_imresize(size: int) -> None:
    x = noise(1, 1, size, 2).double()
    across = np.array([slow_halve(row) for row in x[0, 0].numpy()])
    expected = np.array([slow_halve(column) for column in across.T]).T
    np.testing.assert_allclose(Halving()(x)[0, 0], expected, atol=1e-12)


def test_halving_is_that_of_pillow_inside() -> None:
    x = noise(1, 1, 24, 28)
    expected = Image.fromarray(x[0, 0].numpy()).resize((14, 12), Image.Resampling.BICUBIC)
    found = Halving()(x)[0, 0].numpy()
    np.testing.assert_allclose(found[2:-2, 2:-2], np.asarray(expected)[2:-2, 2:-2], atol=1e-5)


@pytest.mark.parametrize("pool_first", [True, False])
def test_chained_pooling_adds_up_its_links(pool_first: bool) -> None:  # noqa: FBT001 a row
    x = noise(1, 2, 9, 8)
    chain = ChainedPooling(2, 2, pool_first=pool_first)
    first, second = (chain.get_parameter(f"convs.{i}.weight") for i in range(2))

    def link(y: Tensor, weight: Tensor) -> Tensor:
        if pool_first:
            return functional.conv2d(functional.max_pool2d(y, 5, 1, 2), weight, padding=1)
        return functional.max_pool2d(functional.conv2d(y, weight, padding=1), 5, 1, 2)

    positive = x.clamp(min=0)
    one = link(positive, first)
    torch.testing.assert_close(chain(x), positive + one + link(one, second))
