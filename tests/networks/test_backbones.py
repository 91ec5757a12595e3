"""Test ImageNet classifiers as backbones: used keys, left-over keys, computed features."""

import re

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segtasks.errors import ModelError
from segtasks.networks import build, convert_backbone
from tests.helpers import foreign

WIDTH = 1 / 16
Weights = dict[str, Tensor]
# torchvision's vgg16().features, members counted with ReLUs and pools
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def vgg16() -> Weights:
    """Return the vgg16 of torchvision with a sixteenth of its channels."""
    shapes: foreign.Shapes = {}
    for index, (_, out, into) in zip(FEATURES, foreign.vgg16(WIDTH), strict=True):
        shapes |= foreign.conv(f"features.{index}", out, into, 3, bias=True)
    for index, out, into in ((0, 256, 32 * 49), (3, 256, 256), (6, 1000, 256)):
        shapes |= {f"classifier.{index}.weight": (out, into), f"classifier.{index}.bias": (out,)}
    return foreign.random_state(shapes)


def resnet(depth: int) -> Weights:
    shapes = foreign.stem(width=WIDTH)
    shapes |= foreign.stages(depth, 4, foreign.torchvision_part(), WIDTH)
    return foreign.random_state(shapes | {"fc.weight": (1000, 128), "fc.bias": (1000,)})


def test_vgg16_gives_fcn_its_convolutions_and_fully_connected_layers() -> None:
    state = vgg16()
    found = convert_backbone(state, layout="torchvision", network="fcn8s", width=WIDTH)
    assert found.left_over == ("classifier.6.bias", "classifier.6.weight")
    network = build("fcn8s", classes=2, width=WIDTH)
    missing = network.load_state_dict(found.weights, strict=False)
    assert not missing.unexpected_keys
    assert all(re.match(r"(up)?score", key) for key in missing.missing_keys)
    whole_map = torch.rand(1, 32, 7, 7, dtype=torch.float64)
    weight, bias = state["classifier.0.weight"].double(), state["classifier.0.bias"].double()
    with torch.inference_mode():
        y = network.double().get_submodule("fc6")(whole_map).flatten()
    assert torch.allclose(y, functional.linear(whole_map.flatten(), weight, bias).relu())


def test_vgg16_gives_largefov_its_convolutions_alone() -> None:
    found = convert_backbone(vgg16(), layout="torchvision", network="largefov", width=WIDTH)
    assert set(found.weights) == {
        f"{name}.{leaf}" for name, _, _ in foreign.vgg16() for leaf in ("weight", "bias")
    }
    assert {key.split(".")[0] for key in found.left_over} == {"classifier"}
    assert torch.equal(found.weights["conv4_2.bias"], vgg16()["features.19.bias"])


def test_segnet_takes_vgg16_without_batch_norm() -> None:
    found = convert_backbone(vgg16(), layout="torchvision", network="segnet", width=WIDTH)
    assert not [key for key in found.weights if ".bn." in key or "_D" in key]


@pytest.mark.parametrize(
    ("network", "depth"),
    [
        ("refinenet50", 50),
        ("smp_deeplabv3_resnet50", 50),
        ("deeplabv2_resnet101", 101),
        ("refinenet152", 152),
    ],
)
def test_a_resnet_gives_its_trunk(network: str, depth: int) -> None:
    state = resnet(depth)
    found = convert_backbone(state, layout="torchvision", network=network, width=WIDTH)
    assert found.left_over == ("fc.bias", "fc.weight")
    assert len(found.weights) == len(state) - 2
    assert torch.equal(found.weights["conv1.weight"], state["conv1.weight"])
    assert torch.equal(
        found.weights["layer3.5.conv2.bn.running_var"], state["layer3.5.bn2.running_var"]
    )
    built = build(network, classes=2, width=WIDTH)
    missing = built.load_state_dict(found.weights, strict=False)
    assert not missing.unexpected_keys
    heads = [key for key in missing.missing_keys if not key.endswith("num_batches_tracked")]
    assert heads
    assert not [key for key in heads if re.match(r"(conv1|layer\d)\.", key)]


def test_refinenet_of_two_scales_begins_with_one_resnet_twice() -> None:
    network = "refinenet101_2scale"
    found = convert_backbone(resnet(101), layout="torchvision", network=network, width=WIDTH)
    large = {key: value for key, value in found.weights.items() if not key.startswith("small.")}
    small = {key.removeprefix("small."): found.weights[key] for key in found.weights.keys() - large}
    # 104 convolutions, each with a BatchNorm of four
    assert len(large) == 104 * 5
    assert foreign.same(large, small)
    assert found.left_over == ("fc.bias", "fc.weight")


def test_caffes_vgg16_is_bgr() -> None:
    shapes = foreign.vgg16_convs(WIDTH)
    state = foreign.random_state(shapes)
    blobs = {
        key.replace(".weight", ".0").replace(".bias", ".1"): value for key, value in state.items()
    }
    found = convert_backbone(blobs, layout="caffe", network="largefov", width=WIDTH)
    assert torch.equal(found.weights["conv1_1.weight"], state["conv1_1.weight"].flip(1))
    assert found.left_over == ()


def test_the_trunk_must_be_whole() -> None:
    state = resnet(50)
    del state["layer2.3.conv1.weight"]
    says = r"torchvision for refinenet50: key 'layer2.3.conv1.weight' missing"
    with pytest.raises(ModelError, match=says):
        convert_backbone(state, layout="torchvision", network="refinenet50", width=WIDTH)


def test_a_trunk_of_another_depth_is_refused_or_reported() -> None:
    with pytest.raises(ModelError, match=r"key 'layer3.10.bn1.bias' and \d+ more keys missing"):
        convert_backbone(resnet(50), layout="torchvision", network="refinenet101", width=WIDTH)
    found = convert_backbone(resnet(101), layout="torchvision", network="refinenet50", width=WIDTH)
    assert "layer3.22.conv3.weight" in found.left_over


def test_a_network_with_another_stem_has_no_such_backbone() -> None:
    with pytest.raises(ModelError, match="torchvision has no backbones for pspnet50; it has"):
        convert_backbone(resnet(50), layout="torchvision", network="pspnet50")
