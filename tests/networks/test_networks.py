"""Test all networks of the registry; a new network is a new row here."""

import pytest
import torch
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks import build, names, spec
from segtasks.networks.architectures.layers import ConvBn, fold_batch_norm
from segtasks.networks.inference.runtime import prepare

WIDTH = 1 / 32
SIZES = [(1, 1), (7, 5), (33, 47), (64, 64)]

WITH_BATCH_NORM = [name for name in names() if "batch_norm" in spec(name).options]


def narrow_network(name: str, *, width: float = WIDTH, **variant: bool) -> nn.Module:
    torch.manual_seed(0)
    return build(name, classes=5, bands=4, width=width, **variant).eval()


def image(height: int, width: int) -> Tensor:
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", names())
def test_logits_have_the_size_of_the_image(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = narrow_network(name)(image(*size))
    assert logits.shape == (1, 5, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", names())
def test_the_same_image_gives_the_same_logits(name: str) -> None:
    network, x = narrow_network(name), image(33, 47)
    with torch.inference_mode():
        assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("name", names())
def test_logits_depend_on_the_image_and_differ_between_classes(name: str) -> None:
    network = narrow_network(name)
    if "ctx_fc1.weight" in network.state_dict():
        # A new context is the identity behind ReLU: it gives what it is given, if that is positive.
        torch.nn.init.ones_(network.get_parameter("final.bias"))
    with torch.inference_mode():
        logits = network(image(64, 64))
    assert (logits.std(dim=(2, 3)) > 0).all()


@pytest.mark.parametrize("name", [name for name in names() if spec(name).border != "reflect"])
def test_zeros_below_and_right_change_nothing_where_the_size_rule_pads(name: str) -> None:
    rules = {"8k": (8, 0), "8k+1": (8, 1), "8k+2": (8, 2), "32k": (32, 0), "64k": (64, 0)}
    multiple, extra = rules.get(spec(name).size_rule, (1, 0))
    x = image(40, 50)
    padding = [0, (extra - 50) % multiple, 0, (extra - 40) % multiple]
    network = narrow_network(name)
    with torch.inference_mode():
        padded = network(torch.nn.functional.pad(x, padding))
        assert torch.equal(padded[:, :, :40, :50], network(x))


# name, the layer before the logits, the logits: channels at width 1/32
ENDS = [
    ("fcn32s", "fc7", 128, "score_fr"),
    ("fcn16s", "fc7", 128, "score_fr"),
    ("fcn8s", "fc7", 128, "score_fr"),
    ("fcn8s_lean", "fc7", 128, "score_fr"),
    ("largefov", "fc7", 32, "fc8"),
    ("deeplab_v1", "fc7", 128, "fc8"),
    ("msc_largefov", "fc7", 32, "fc8"),
    ("aspp_s", "fc7_4", 32, "fc8_4"),
    ("aspp_l", "fc7_1", 32, "fc8_1"),
    ("dilation_frontend", "fc7", 128, "final"),
    ("dilation8", "fc7", 128, "final"),
    ("dilation8_large", "fc7", 128, "final"),
]


@pytest.mark.parametrize(("name", "last", "channels", "score"), ENDS)
def test_width_narrows_channels_but_not_bands_or_classes(
    name: str, last: str, channels: int, score: str
) -> None:
    network = narrow_network(name)
    assert network.get_parameter("conv1_1.weight").shape == (2, 4, 3, 3)
    assert network.get_parameter("conv5_3.weight").shape == (16, 16, 3, 3)
    assert network.get_parameter(f"{last}.weight").shape == (channels, channels, 1, 1)
    assert network.get_parameter(f"{score}.weight").shape == (5, channels, 1, 1)


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_folding_batch_norm_keeps_the_function(name: str) -> None:
    network = narrow_network(name, batch_norm=True)
    randomise_statistics(network)
    x = image(64, 64)
    with torch.inference_mode():
        expected = network(x)
        folded = prepare(network)(x)
    assert (folded - expected).abs().max() <= 1e-5 * expected.abs().max()


def randomise_statistics(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(2)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(std=0.1, generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)


def test_folding_leaves_no_batch_norm() -> None:
    network = narrow_network("largefov", batch_norm=True)
    fold_batch_norm(network)
    assert not [m for m in network.modules() if isinstance(m, ConvBn | nn.BatchNorm2d)]


def test_only_the_bilinear_kernels_are_frozen() -> None:
    network = narrow_network("fcn8s")
    frozen = {key for key, value in network.named_parameters() if not value.requires_grad}
    assert frozen == {"upscore2.weight", "upscore_pool4.weight", "upscore8.weight"}


@pytest.mark.parametrize("name", names())
def test_every_other_parameter_gets_a_gradient(name: str) -> None:
    network = narrow_network(name).train()
    # Two images: BatchNorm behind a global average has one value per channel and image.
    network(image(64, 64).expand(2, -1, -1, -1)).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key


def test_the_linear_network_can_be_the_identity() -> None:
    network = build("linear", classes=4, bands=4)
    torch.nn.init.dirac_(network.get_parameter("score.weight"))
    torch.nn.init.zeros_(network.get_parameter("score.bias"))
    x = image(7, 5)
    assert torch.equal(network(x), x)


def test_an_unknown_network_is_refused_with_the_names() -> None:
    with pytest.raises(ModelError, match=r"'unet' is unknown; choose one of .*fcn8s, fcn8s_lean"):
        build("unet", classes=2)


def test_an_unknown_option_is_refused_with_the_options() -> None:
    with pytest.raises(ModelError, match=r"fcn8s has no option 'bn'.*batch_norm, dropout"):
        build("fcn8s", classes=2, bn=True)


def test_an_option_of_another_type_is_refused() -> None:
    with pytest.raises(ModelError, match=r"option batch_norm is 'yes'; give a bool"):
        build("fcn8s", classes=2, batch_norm="yes")


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"classes": 2, "bands": 0}, "bands is 0"),
        ({"classes": 2, "width": 0.0}, r"width is 0\.0; it must be in \(0, 4\]"),
        ({"classes": 2, "width": float("nan")}, "width is nan"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, int], match: str) -> None:
    with pytest.raises(ModelError, match=match):
        build("linear", **numbers)


def test_the_average_pool_of_largefov_counts_its_padding_as_caffe_does() -> None:
    pool = narrow_network("largefov").get_submodule("pool5a")
    corner = pool(torch.ones(1, 1, 3, 3))[0, 0, 0, 0]
    assert corner.item() == pytest.approx(4 / 9)
