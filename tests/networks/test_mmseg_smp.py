"""Test mmsegmentation's FCN and DeepLab v3 and smp's DeepLab v3, written out under their own names.

Dilations, strides and joins are written down here block by block, from facts/networks.md A.2.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segtasks.networks import build, convert
from segtasks.networks.importers import normalisation_of
from tests.helpers import foreign
from tests.helpers.foreign import BLOCKS, Shapes, Weights
from tests.helpers.formula import formula_input, formula_state

WIDTH = 1 / 16
MMSEG = {1: [1] * 3, 2: [1] * 4, 3: [1, 2, 2, 2, 2, 2], 4: [2, 4, 4]}
SMP = {1: [1] * 3, 2: [1] * 4, 3: [2] * 6, 4: [4] * 3}


def joint(
    w: Weights, x: Tensor, conv: str, bn: str, *, stride: int = 1, padding: int = 0, d: int = 1
) -> Tensor:
    """Run a convolution and BatchNorm."""
    y = functional.conv2d(x, w[f"{conv}.weight"], None, stride, padding, d)
    stats = (w[f"{bn}.running_mean"], w[f"{bn}.running_var"])
    return functional.batch_norm(y, *stats, w[f"{bn}.weight"], w[f"{bn}.bias"])


def stages(w: Weights, x: Tensor, home: str, dilations: dict[int, list[int]]) -> Tensor:
    """Run layer1 ... layer4 of ResNet-50; only layer2 halves, in its first 3x3."""
    assert tuple(len(found) for found in dilations.values()) == BLOCKS[50]
    for stage, found in dilations.items():
        for block, d in enumerate(found):
            stride = 2 if (stage, block) == (2, 0) else 1
            x = bottleneck(w, x, f"{home}layer{stage}.{block}", stride, d)
    return x


def bottleneck(w: Weights, x: Tensor, home: str, stride: int, d: int) -> Tensor:
    y = joint(w, x, f"{home}.conv1", f"{home}.bn1").relu()
    y = joint(w, y, f"{home}.conv2", f"{home}.bn2", stride=stride, padding=d, d=d).relu()
    y = joint(w, y, f"{home}.conv3", f"{home}.bn3")
    if f"{home}.downsample.0.weight" in w:
        x = joint(w, x, f"{home}.downsample.0", f"{home}.downsample.1", stride=stride)
    return (x + y).relu()


def module(w: Weights, x: Tensor, home: str, *, padding: int = 0, d: int = 1) -> Tensor:
    """Run the ConvModule of mmsegmentation."""
    return joint(w, x, f"{home}.conv", f"{home}.bn", padding=padding, d=d).relu()


def v1c(w: Weights, x: Tensor) -> Tensor:
    for conv, stride in ((0, 2), (3, 1), (6, 1)):
        names = (f"backbone.stem.{conv}", f"backbone.stem.{conv + 1}")
        x = joint(w, x, *names, stride=stride, padding=1).relu()
    return stages(w, functional.max_pool2d(x, 3, 2, 1), "backbone.", MMSEG)


def seg(w: Weights, y: Tensor, x: Tensor) -> Tensor:
    """Run conv_seg and resize to the image."""
    y = functional.conv2d(y, w["decode_head.conv_seg.weight"], w["decode_head.conv_seg.bias"])
    return functional.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)


def fcn_of_mmseg(w: Weights, x: Tensor) -> Tensor:
    features = v1c(w, x)
    y = module(w, features, "decode_head.convs.0", padding=1)
    y = module(w, y, "decode_head.convs.1", padding=1)
    y = module(w, torch.cat([features, y], dim=1), "decode_head.conv_cat", padding=1)
    return seg(w, y, x)


def deeplab_of_mmseg(w: Weights, x: Tensor) -> Tensor:
    features = v1c(w, x)
    mean = functional.adaptive_avg_pool2d(features, 1)
    mean = module(w, mean, "decode_head.image_pool.1")
    size = features.shape[2:]
    parts = [functional.interpolate(mean, size, mode="bilinear", align_corners=False)]
    parts.append(module(w, features, "decode_head.aspp_modules.0"))
    for i, d in ((1, 12), (2, 24), (3, 36)):
        parts.append(module(w, features, f"decode_head.aspp_modules.{i}", padding=d, d=d))
    y = module(w, torch.cat(parts, dim=1), "decode_head.bottleneck", padding=1)
    return seg(w, y, x)


def deeplab_of_smp(w: Weights, x: Tensor) -> Tensor:
    y = joint(w, x, "encoder.conv1", "encoder.bn1", stride=2, padding=3).relu()
    features = stages(w, functional.max_pool2d(y, 3, 2, 1), "encoder.", SMP)
    home = "decoder.aspp.convs"
    parts = [joint(w, features, f"{home}.0.0", f"{home}.0.1").relu()]
    for i, d in ((1, 12), (2, 24), (3, 36)):
        names = (f"{home}.{i}.0", f"{home}.{i}.1")
        parts.append(joint(w, features, *names, padding=d, d=d).relu())
    mean = functional.adaptive_avg_pool2d(features, 1)
    mean = joint(w, mean, f"{home}.4.1", f"{home}.4.2").relu()
    parts.append(mean.expand_as(parts[0]))
    joined = torch.cat(parts, dim=1)
    y = joint(w, joined, "decoder.aspp.project.0", "decoder.aspp.project.1").relu()
    y = joint(w, y, "decoder.conv", "decoder.bn", padding=1).relu()
    y = functional.conv2d(y, w["segmentation_head.0.weight"], w["segmentation_head.0.bias"])
    return functional.interpolate(y, scale_factor=8, mode="bilinear", align_corners=True)


WHOLE = [
    ("mmseg", "mmseg_fcn_resnet50", foreign.mmseg_fcn(50, 5, WIDTH), fcn_of_mmseg),
    ("mmseg", "mmseg_deeplabv3_resnet50", foreign.mmseg_deeplab(50, 5, WIDTH), deeplab_of_mmseg),
    ("smp", "smp_deeplabv3_resnet50", foreign.smp_deeplab(50, 5, WIDTH), deeplab_of_smp),
]


def logits(state: Weights, x: Tensor, layout: str, network: str) -> Tensor:
    """Return the logits of the registry's network with converted weights, float64."""
    weights = convert(state, layout=layout, network=network, width=WIDTH)
    net = build(network, classes=5, width=WIDTH).double().eval()
    net.load_state_dict(weights, strict=True)
    with torch.inference_mode():
        y: Tensor = net(x)
    return y


@pytest.mark.parametrize(("layout", "network", "shapes", "forward"), WHOLE)
def test_the_network_is_the_one_that_its_own_names_spell_out(
    layout: str, network: str, shapes: Shapes, forward: Callable[[Weights, Tensor], Tensor]
) -> None:
    state, x = formula_state(shapes), formula_input(72, 104)
    expected = forward({key: value.double() for key, value in state.items()}, x)
    found = logits(state, x, layout, network)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_smp_and_torchvision_have_one_state_dict_and_two_functions() -> None:
    state = formula_state(foreign.smp_deeplab(50, 5, WIDTH))
    theirs = foreign.torchvision_deeplab(50, 5, WIDTH)
    names = [key for key in theirs if not key.startswith("aux_classifier")]
    renamed = dict(zip(names, state.values(), strict=True))
    smp = convert(state, layout="smp", network="smp_deeplabv3_resnet50", width=WIDTH)
    torchvision = convert(renamed, layout="torchvision", network="deeplabv3_resnet50", width=WIDTH)
    assert foreign.same(smp, torchvision)
    x = formula_input(64, 96)
    one = logits(state, x, "smp", "smp_deeplabv3_resnet50")
    other = logits(renamed, x, "torchvision", "deeplabv3_resnet50")
    assert (one - other).abs().max() > 0.1 * one.std()


def test_a_decoder_of_before_0_6_is_the_same_under_other_names() -> None:
    state = foreign.random_state(foreign.smp_deeplab(101, 5, WIDTH))
    old = foreign.smp_deeplab(101, 5, WIDTH, decoder=("0", "1", "2"))
    assert "decoder.0.project.0.weight" in old
    renamed = dict(zip(old, state.values(), strict=True))
    one, other = (
        convert(found, layout="smp", network="smp_deeplabv3_resnet101", width=WIDTH)
        for found in (state, renamed)
    )
    assert foreign.same(one, other)


def test_an_auxiliary_head_of_mmseg_is_kept_when_asked_for() -> None:
    state = foreign.random_state(foreign.mmseg_fcn(50, 5, WIDTH))
    network = "mmseg_fcn_resnet50"
    weights = convert(state, layout="mmseg", network=network, width=WIDTH, auxiliary=True)
    found = weights["auxiliary.conv.bn.running_var"]
    assert torch.equal(found, state["auxiliary_head.convs.0.bn.running_var"])


def test_mmseg_was_fed_with_red_green_blue() -> None:
    fed = normalisation_of(layout="mmseg", network="mmseg_deeplabv3_resnet101")
    assert fed.mean == (123.675, 116.28, 103.53)
    assert fed.std == (58.395, 57.12, 57.375)
