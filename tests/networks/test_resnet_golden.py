"""Test the networks on ResNets against numbers of independent implementations.

Weights are a formula of their keys in the named repository, so each layout is written out here.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from segtasks.networks import build
from tests.helpers.formula import check_golden, formula_input, formula_weight

Layout = Callable[[str], str]


def formula_network(
    name: str,
    layout: Layout,
    gain: Callable[[str], float] = lambda _: 24,
    **variant: Any,  # noqa: ANN401 the options of `build`
) -> nn.Module:
    """Return the published network with tensors that follow from their keys in ``layout``."""
    with torch.device("meta"):
        network = build(name, classes=21, **variant)
    state = {
        key: formula_weight(layout(key), tuple(value.shape), gain(layout(key)))
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    network.load_state_dict(state, assign=True, strict=False)
    return network.double().eval()


def kazuto1011(key: str) -> str:
    """layer3.0.conv2.bn.bias -> layer4.block1.conv3x3.bn.bias."""
    if key.startswith("aspp"):
        return key.replace("aspp.", "aspp.c")
    names = {"conv1": "reduce", "conv2": "conv3x3", "conv3": "increase", "shortcut": "shortcut"}
    if found := re.fullmatch(r"layer(\d)\.(\d+)\.(\w+)\.(.*)", key):
        stage, block = int(found[1]) + 1, int(found[2]) + 1
        return f"layer{stage}.block{block}.{names[found[3]]}.{in_pair(found[4])}"
    return f"layer1.conv1.{in_pair(key.removeprefix('conv1.'))}"


def semseg(key: str) -> str:
    """layer1.0.conv2.bn.bias -> layer1.0.bn2.bias; conv1_2.weight -> layer0.3.weight."""
    if found := re.fullmatch(r"conv1_(\d)\.(bn\.)?(.*)", key):
        return f"layer0.{3 * int(found[1]) - (2 if found[2] else 3)}.{found[3]}"
    key = head(head(key, "main", "cls"), "auxiliary", "aux")
    key = re.sub(r"^ppm\.convs\.(\d)\.bn\.", r"ppm.features.\1.2.", key)
    key = re.sub(r"^ppm\.convs\.(\d)\.", r"ppm.features.\1.1.", key)
    return torchvision_block(key)


def head(key: str, ours: str, theirs: str) -> str:
    """Rename main.conv.bn.bias to cls.1.bias; convolution, BatchNorm, ReLU, dropout, 1x1."""
    key = re.sub(rf"^{ours}\.conv\.bn\.", f"{theirs}.1.", key)
    key = re.sub(rf"^{ours}\.conv\.", f"{theirs}.0.", key)
    return re.sub(rf"^{ours}\.classifier\.", f"{theirs}.4.", key)


def torchvision(key: str) -> str:
    """Put the trunk below backbone; main and auxiliary are classifier and aux_classifier."""
    if key.startswith(("main", "auxiliary")):
        return head(head(key, "main", "classifier"), "auxiliary", "aux_classifier")
    return f"backbone.{torchvision_block(key)}"


def torchvision_block(key: str) -> str:
    """conv2.bn.bias -> bn2.bias, shortcut.bn.bias -> downsample.1.bias, also at the top."""
    key = re.sub(r"(^|\.)conv(\d)\.bn\.", r"\1bn\2.", key)
    return key.replace("shortcut.bn", "downsample.1").replace("shortcut", "downsample.0")


def smp(key: str) -> str:
    """Put the trunk below encoder; ppm.convs.0.bias -> decoder.psp.blocks.0.pool.1.0.bias."""
    if key.startswith("classifier"):
        return key.replace("classifier", "segmentation_head.0")
    if found := re.fullmatch(r"(ppm\.convs\.\d|conv)\.(bn\.)?(weight|bias|running_.*)", key):
        home = re.sub(r"ppm\.convs\.(\d)", r"psp.blocks.\1.pool.1", found[1])
        return f"decoder.{home}.{1 if found[2] else 0}.{found[3]}"
    return f"encoder.{torchvision_block(key)}"


def drsleep(key: str) -> str:
    """Put the trunk at the top; refine4 is stage 1, refine1 stage 4."""
    if found := re.fullmatch(r"refine(\d)\.(.*)", key):
        return drsleep_block(5 - int(found[1]), found[2])
    if key.startswith("classifier"):
        return key.replace("classifier", "clf_conv")
    return torchvision_block(key)


def drsleep_block(stage: int, key: str) -> str:
    """Put fusion.deeper in the stage below."""
    if found := re.fullmatch(r"(adapt|output|pooling\.convs)\.(\d)\.(.*)", key):
        home = {"adapt": f"adapt_stage{stage}_b", "output": f"mflow_conv_g{stage}_b"}
        group, number = home.get(found[1], f"mflow_conv_g{stage}_pool"), int(found[2]) + 1
        tail = re.sub(r"^conv2", "conv_relu_varout_dimred", found[3].replace("conv1", "conv"))
        tail = tail if "." in tail else f"outvar_dimred.{tail}"
        return f"{group}.0.{number}_{tail}"
    names = {
        "reduce.weight": f"p_ims1d2_outl{stage}_dimred.weight",
        "fusion.own.weight": f"adapt_stage{stage}_b2_joint_varout_dimred.weight",
        "fusion.deeper.weight": f"mflow_conv_g{stage - 1}_b3_joint_varout_dimred.weight",
    }
    return names[key]


def in_pair(tail: str) -> str:
    """Rename weight to conv.weight; bn.bias stays."""
    return tail if tail.startswith("bn.") else f"conv.{tail}"


def test_deeplabv2_gives_the_logits_of_the_independent_implementation() -> None:
    network = formula_network("deeplabv2_resnet101", kazuto1011)
    with torch.inference_mode():
        y = network.coarse_logits(formula_input(65, 81))  # type: ignore[operator]
    figures = [107401.9507, 1114181.446, -1574131.538, 3049309.399, 1966779.581]
    check_golden(y, figures, {10: 59, 15: 26, 18: 14})


PSPNET50 = (
    [77.75290346, 564.9033032, 612.3090423, 424.6458482, 37.25476149],
    {4: 4153, 5: 110, 7: 30, 10: 50, 11: 912, 18: 10},
)


@pytest.fixture(scope="module")
def pspnet() -> nn.Module:
    """Tests that alter it use ``monkeypatch``, which undoes it."""
    return formula_network("pspnet50", semseg)


def check_pspnet(network: nn.Module) -> None:
    with torch.inference_mode():
        check_golden(network(formula_input(65, 81)), *PSPNET50)


def test_pspnet_gives_the_logits_of_the_independent_implementation(pspnet: nn.Module) -> None:
    check_pspnet(pspnet)


@pytest.mark.parametrize(("block", "dilation"), [("layer3.0", 1), ("layer4.0", 2)])
def test_a_contracted_first_block_is_another_function(
    block: str, dilation: int, pspnet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = pspnet.get_submodule(f"{block}.conv2")
    monkeypatch.setattr(conv, "dilation", (dilation, dilation))
    monkeypatch.setattr(conv, "padding", (dilation, dilation))
    with pytest.raises(AssertionError):
        check_pspnet(pspnet)


def test_another_order_of_concatenation_is_another_function(
    pspnet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = pspnet.get_submodule("main.conv")
    map_last = pspnet.get_parameter("main.conv.weight").roll(2048, dims=1)
    monkeypatch.setattr(conv, "weight", nn.Parameter(map_last))
    with pytest.raises(AssertionError):
        check_pspnet(pspnet)


def test_the_pspnet_of_smp_gives_the_logits_of_the_independent_implementation() -> None:
    with torch.inference_mode():
        y = formula_network("smp_pspnet50", smp)(formula_input(64, 96))
    figures = [5.642564646, 38.66853446, 34.01135444, 40.04492442, 5.99784601]
    check_golden(y, figures, {0: 423, 9: 286, 10: 5346, 14: 44, 19: 45})


def test_the_fcn_of_torchvision_gives_the_logits_of_the_independent_implementation() -> None:
    with torch.inference_mode():
        y = formula_network("fcn_resnet50", torchvision)(formula_input(64, 96))
    figures = [-246.654488, 736.1892121, -134.9701441, -293.428944, 643.7675324]
    check_golden(y, figures, {1: 2793, 2: 2835, 4: 13, 11: 61, 12: 268, 19: 174})


def test_refinenet_gives_the_logits_of_the_independent_implementation() -> None:
    def gain(key: str) -> float:
        return 24 if key.startswith(("layer", "conv1")) else 3

    network = formula_network("refinenet101", drsleep, gain, upsampling="align_corners")
    with torch.inference_mode():
        y = network.coarse_logits(formula_input(64, 96))  # type: ignore[operator]
    figures = [-314.4013419, 5971.903678, 1126.174213, 825.4763142, -1318.829398]
    check_golden(y, figures, {0: 227, 1: 24, 6: 55, 9: 56, 13: 1, 14: 4, 16: 8, 18: 9})
