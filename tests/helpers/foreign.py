"""Keys and shapes of foreign checkpoints, written down from facts/networks.md A.2.

They do not depend on the names of segtasks. All layouts list the tensors of a network in the same
order, so that two of them can be zipped. ``width`` multiplies channels as in `build`.
"""

import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
Part = Callable[[int, int, int], tuple[str, str]]
"""Stage and block from 0; 0, 1, 2 for a block's convolutions, 3 for its shortcut: the names of the
convolution and of its BatchNorm."""

VGG16 = {1: (64, 64), 2: (128, 128), 3: (256,) * 3, 4: (512,) * 3, 5: (512,) * 3}
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
LEAVES = ("weight", "bias", "running_mean", "running_var")


def random_state(shapes: Shapes) -> Weights:
    """Return fixed random values of 0.5 ... 1.5."""
    generator = torch.Generator().manual_seed(0)
    return {key: torch.rand(shape, generator=generator) + 0.5 for key, shape in shapes.items()}


def same(one: Weights, other: Weights, rtol: float = 0.0) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(one[key].float(), other[key].float(), rtol=rtol, atol=0.0) for key in one
    )


def conv(name: str, out: int, into: int, kernel: int, *, bias: bool = False) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (out, into, kernel, kernel)}
    return shapes | ({f"{name}.bias": (out,)} if bias else {})


def conv_bn(names: tuple[str, str], out: int, into: int, kernel: int) -> Shapes:
    return conv(names[0], out, into, kernel) | {f"{names[1]}.{leaf}": (out,) for leaf in LEAVES}


def vgg16(width: float = 1.0) -> Iterator[tuple[str, int, int]]:
    """Yield names, outputs and inputs of the thirteen convolutions."""
    into = 3
    for block, outs in VGG16.items():
        for i, out in enumerate(outs, start=1):
            yield f"conv{block}_{i}", round(out * width), into
            into = round(out * width)


def fcn(
    deconvolutions: dict[str, int],
    pools: dict[str, int],
    classes: int = 21,
    width: float = 1.0,
) -> Shapes:
    """Caffe and wkentaro: deconvolutions by their factor, scored pools by their channels."""
    shapes = vgg16_convs(width)
    units, pooled = round(4096 * width), round(512 * width)
    shapes |= conv("fc6", units, pooled, 7, bias=True) | conv("fc7", units, units, 1, bias=True)
    shapes |= conv("score_fr", classes, units, 1, bias=True)
    for pool, channels in pools.items():
        shapes |= conv(f"score_{pool}", classes, round(channels * width), 1, bias=True)
    for name, factor in deconvolutions.items():
        shapes |= conv(name, classes, classes, 2 * factor)
    return shapes


def vgg16_convs(width: float = 1.0) -> Shapes:
    shapes: Shapes = {}
    for name, out, into in vgg16(width):
        shapes |= conv(name, out, into, 3, bias=True)
    return shapes


def fcn8s(classes: int = 21, width: float = 1.0) -> Shapes:
    deconvolutions = {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8}
    return fcn(deconvolutions, {"pool4": 512, "pool3": 256}, classes, width)


def fcn16s(classes: int = 21, width: float = 1.0) -> Shapes:
    return fcn({"upscore2": 2, "upscore16": 16}, {"pool4": 512}, classes, width)


def fcn32s(classes: int = 21, width: float = 1.0) -> Shapes:
    return fcn({"upscore": 32}, {}, classes, width)


def stages(depth: int, into: int, part: Part, width: float = 1.0) -> Shapes:
    """The four stages of a ResNet; ``into`` channels come from its stem."""
    shapes: Shapes = {}
    for stage, count in enumerate(BLOCKS[depth]):
        inner, out = round((64 << stage) * width), round((256 << stage) * width)
        for block in range(count):
            sizes = [(inner, into, 1), (inner, inner, 3), (out, inner, 1), (out, into, 1)]
            for which, size in enumerate(sizes if block == 0 else sizes[:3]):
                shapes |= conv_bn(part(stage, block, which), *size)
            into = out
    return shapes


def torchvision_part(prefix: str = "") -> Part:
    def names(stage: int, block: int, which: int) -> tuple[str, str]:
        home = f"{prefix}layer{stage + 1}.{block}"
        if which == 3:
            return f"{home}.downsample.0", f"{home}.downsample.1"
        return f"{home}.conv{which + 1}", f"{home}.bn{which + 1}"

    return names


def stem(prefix: str = "", width: float = 1.0) -> Shapes:
    return conv_bn((f"{prefix}conv1", f"{prefix}bn1"), round(64 * width), 3, 7)


def deep_stem(prefix: str, channels: tuple[int, int, int], width: float = 1.0) -> Shapes:
    """Members 0, 3, 6 are convolutions, 1, 4, 7 their BatchNorms."""
    shapes: Shapes = {}
    into = 3
    for i, channel in enumerate(channels):
        out = round(channel * width)
        shapes |= conv_bn((f"{prefix}.{3 * i}", f"{prefix}.{3 * i + 1}"), out, into, 3)
        into = out
    return shapes


def kazuto(classes: int = 21, width: float = 1.0) -> Shapes:
    def part(stage: int, block: int, which: int) -> tuple[str, str]:
        name = ("reduce", "conv3x3", "increase", "shortcut")[which]
        home = f"layer{stage + 2}.block{block + 1}.{name}"
        return f"{home}.conv", f"{home}.bn"

    shapes = conv_bn(("layer1.conv1.conv", "layer1.conv1.bn"), round(64 * width), 3, 7)
    shapes |= stages(101, round(64 * width), part, width)
    for i in range(4):
        shapes |= conv(f"aspp.c{i}", classes, round(2048 * width), 3, bias=True)
    return shapes


def isht7(classes: int = 21, width: float = 1.0) -> Shapes:
    shapes = stem(width=width) | stages(101, round(64 * width), torchvision_part(), width)
    for i in range(4):
        name = f"layer5.conv2d_list.{i}"
        shapes |= conv(name, classes, round(2048 * width), 3, bias=True)
    return shapes


def caffe_resnet(key: str) -> str:
    """isht7's names of ResNet-101 -> Caffe's, e.g. layer3.22.conv1 -> res4b22_branch2a."""
    if found := re.fullmatch(r"layer([1-4])\.(\d+)\.(\w+?)(\d)?(?:\.([01]))?\.(\w+)", key):
        stage, block, part, number, member, leaf = found.groups()
        letter = "abc"[int(block)] if stage in "14" or block == "0" else f"b{block}"
        branch = f"branch2{'abc'[int(number) - 1]}" if number else "branch1"
        is_bn = part == "bn" or member == "1"
        kind = ("bn" if leaf.startswith("running") else "scale") if is_bn else "res"
        return f"{kind}{int(stage) + 1}{letter}_{branch}.{leaf}"
    if found := re.fullmatch(r"bn1\.(\w+)", key):
        kind = "bn" if found[1].startswith("running") else "scale"
        return f"{kind}_conv1.{found[1]}"
    return re.sub(r"layer5\.conv2d_list\.", "fc1_voc12_c", key)


def semseg(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    inner, deepest = round(512 * width), round(2048 * width)
    shapes = deep_stem("layer0", (64, 64, 128), width)
    shapes |= stages(depth, round(128 * width), torchvision_part(), width)
    for i in range(4):
        shapes |= conv_bn((f"ppm.features.{i}.1", f"ppm.features.{i}.2"), inner, deepest, 1)
    shapes |= conv_bn(("cls.0", "cls.1"), inner, deepest + 4 * inner, 3)
    shapes |= conv("cls.4", classes, inner, 1, bias=True)
    shapes |= conv_bn(("aux.0", "aux.1"), round(256 * width), round(1024 * width), 3)
    return shapes | conv("aux.4", classes, round(256 * width), 1, bias=True)


def mmseg(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    inner, deepest = round(512 * width), round(2048 * width)
    shapes = mmseg_trunk(depth, width)
    for i in range(4):
        shapes |= conv_module(f"decode_head.psp_modules.{i}.1", inner, deepest, 1)
    shapes |= conv_module("decode_head.bottleneck", inner, deepest + 4 * inner, 3)
    return shapes | mmseg_ends(classes, width)


def mmseg_fcn(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    inner, deepest = round(512 * width), round(2048 * width)
    shapes = mmseg_trunk(depth, width)
    shapes |= conv_module("decode_head.convs.0", inner, deepest, 3)
    shapes |= conv_module("decode_head.convs.1", inner, inner, 3)
    shapes |= conv_module("decode_head.conv_cat", inner, deepest + inner, 3)
    return shapes | mmseg_ends(classes, width)


def mmseg_deeplab(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    inner, deepest = round(512 * width), round(2048 * width)
    shapes = mmseg_trunk(depth, width)
    shapes |= conv_module("decode_head.image_pool.1", inner, deepest, 1)
    for i, kernel in enumerate((1, 3, 3, 3)):
        shapes |= conv_module(f"decode_head.aspp_modules.{i}", inner, deepest, kernel)
    shapes |= conv_module("decode_head.bottleneck", inner, 5 * inner, 3)
    return shapes | mmseg_ends(classes, width)


def conv_module(home: str, out: int, into: int, kernel: int) -> Shapes:
    return conv_bn((f"{home}.conv", f"{home}.bn"), out, into, kernel)


def mmseg_trunk(depth: int, width: float) -> Shapes:
    shapes = deep_stem("backbone.stem", (32, 32, 64), width)
    return shapes | stages(depth, round(64 * width), torchvision_part("backbone."), width)


def mmseg_ends(classes: int, width: float) -> Shapes:
    """The classifier and the auxiliary head."""
    inner, third = round(256 * width), round(1024 * width)
    shapes = conv("decode_head.conv_seg", classes, round(512 * width), 1, bias=True)
    shapes |= conv_module("auxiliary_head.convs.0", inner, third, 3)
    return shapes | conv("auxiliary_head.conv_seg", classes, inner, 1, bias=True)


def smp_pspnet(classes: int = 21) -> Shapes:
    shapes = stem("encoder.") | stages(50, 64, torchvision_part("encoder."))
    shapes |= conv("decoder.psp.blocks.0.pool.1.0", 128, 512, 1, bias=True)
    for i in (1, 2, 3):
        home = f"decoder.psp.blocks.{i}.pool.1"
        shapes |= conv_bn((f"{home}.0", f"{home}.1"), 128, 512, 1)
    shapes |= conv_bn(("decoder.conv.0", "decoder.conv.1"), 512, 512 + 4 * 128, 1)
    return shapes | conv("segmentation_head.0", classes, 512, 3, bias=True)


def smp_deeplab(
    depth: int,
    classes: int = 21,
    width: float = 1.0,
    decoder: tuple[str, str, str] = ("aspp", "conv", "bn"),
) -> Shapes:
    """``decoder``: names of its members; 0, 1, 2 before version 0.6."""
    pyramid, last, bn = (f"decoder.{name}" for name in decoder)
    inner = round(256 * width)
    shapes = stem("encoder.", width)
    shapes |= stages(depth, round(64 * width), torchvision_part("encoder."), width)
    shapes |= torchvision_aspp(pyramid, inner, round(2048 * width))
    shapes |= conv_bn((last, bn), inner, inner, 3)
    return shapes | conv("segmentation_head.0", classes, inner, 1, bias=True)


def torchvision_fcn(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    return (
        stem("backbone.", width)
        | stages(depth, round(64 * width), torchvision_part("backbone."), width)
        | conv_bn(("classifier.0", "classifier.1"), round(512 * width), round(2048 * width), 3)
        | conv("classifier.4", classes, round(512 * width), 1, bias=True)
        | torchvision_aux(classes, width)
    )


def torchvision_aux(classes: int, width: float) -> Shapes:
    names = ("aux_classifier.0", "aux_classifier.1")
    shapes = conv_bn(names, round(256 * width), round(1024 * width), 3)
    return shapes | conv("aux_classifier.4", classes, round(256 * width), 1, bias=True)


def torchvision_deeplab(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    inner, deepest = round(256 * width), round(2048 * width)
    shapes = stem("backbone.", width)
    shapes |= stages(depth, round(64 * width), torchvision_part("backbone."), width)
    shapes |= torchvision_aspp("classifier.0", inner, deepest)
    shapes |= conv_bn(("classifier.1", "classifier.2"), inner, inner, 3)
    shapes |= conv("classifier.4", classes, inner, 1, bias=True)
    return shapes | torchvision_aux(classes, width)


def torchvision_aspp(home: str, inner: int, deepest: int) -> Shapes:
    convs = f"{home}.convs"
    shapes = conv_bn((f"{convs}.0.0", f"{convs}.0.1"), inner, deepest, 1)
    for i in (1, 2, 3):
        shapes |= conv_bn((f"{convs}.{i}.0", f"{convs}.{i}.1"), inner, deepest, 3)
    shapes |= conv_bn((f"{convs}.4.1", f"{convs}.4.2"), inner, deepest, 1)
    return shapes | conv_bn((f"{home}.project.0", f"{home}.project.1"), inner, 5 * inner, 1)


def drsleep(depth: int, classes: int = 21, width: float = 1.0) -> Shapes:
    """Path k from the deepest: reduce, adapt (2 RCU), join, pool (4), refine (3 RCU), hand over."""
    wide, channels = round(512 * width), round(256 * width)
    shapes = stem(width=width) | stages(depth, round(64 * width), torchvision_part(), width)
    for k, tap in enumerate((2048, 1024, 512, 256), start=1):
        own = wide if k == 1 else channels
        shapes |= conv(f"p_ims1d2_outl{k}_dimred", own, round(tap * width), 3)
        shapes |= rcus(f"adapt_stage{k}_b.0", own, 2)
        if k > 1:
            shapes |= conv(f"adapt_stage{k}_b2_joint_varout_dimred", channels, channels, 3)
        for i in (1, 2, 3, 4):
            shapes |= conv(f"mflow_conv_g{k}_pool.0.{i}_outvar_dimred", own, own, 3)
        shapes |= rcus(f"mflow_conv_g{k}_b.0", own, 3)
        if k < 4:
            shapes |= conv(f"mflow_conv_g{k}_b3_joint_varout_dimred", channels, own, 3)
    return shapes | conv("clf_conv", classes, channels, 3, bias=True)


def rcus(home: str, channels: int, count: int) -> Shapes:
    """Residual convolution units: the first convolution of each has a bias."""
    shapes: Shapes = {}
    for i in range(1, count + 1):
        shapes |= conv(f"{home}.{i}_conv", channels, channels, 3, bias=True)
        shapes |= conv(f"{home}.{i}_conv_relu_varout_dimred", channels, channels, 3)
    return shapes


def dilation(
    context: dict[str, tuple[int, int]], *, voc: bool, classes: int = 5, width: float = 1.0
) -> Shapes:
    """Front-end, then the context's layers by name without prefix: outputs and inputs."""
    final, prefix = ("fc-final", "ct") if voc else ("final", "ctx")
    shapes = vgg16_convs(width)
    units, pooled = round(4096 * width), round(512 * width)
    shapes |= conv("fc6", units, pooled, 7, bias=True) | conv("fc7", units, units, 1, bias=True)
    shapes |= conv(final, classes, units, 1, bias=True)
    for name, (out, into) in context.items():
        kernel = 1 if name == "final" else 3
        shapes |= conv(f"{prefix}_{name}", out, into, kernel, bias=True)
    return shapes


def basic_context(convs: str, classes: int = 5) -> dict[str, tuple[int, int]]:
    return dict.fromkeys([*convs.split(), "fc1", "final"], (classes, classes))


def large_context(classes: int = 5) -> dict[str, tuple[int, int]]:
    names = ["conv1_1", "conv1_2", "conv2_1", "conv3_1", "conv4_1", "conv5_1", "fc1", "final"]
    channels = [classes * n for n in (1, 2, 2, 4, 8, 16, 32, 32, 1)]
    return {name: (channels[i + 1], channels[i]) for i, name in enumerate(names)}


def largefov(fc8: str, classes: int = 5, width: float = 1.0, *, msc: bool = False) -> Shapes:
    """DeepLab v1; ``msc``: with heads on the image and on four pools."""
    units = round(1024 * width)
    shapes = vgg16_convs(width) | conv("fc6", units, round(512 * width), 3, bias=True)
    shapes |= conv("fc7", units, units, 1, bias=True) | conv(fc8, classes, units, 1, bias=True)
    sources = {"data": 3, "pool1": 64, "pool2": 128, "pool3": 256, "pool4": 512}
    side = round(128 * width)
    for name, channels in sources.items() if msc else ():
        into = channels if name == "data" else round(channels * width)
        shapes |= conv(f"{name}_conv", side, into, 3, bias=True)
        shapes |= conv(f"{name}_fc", side, side, 1, bias=True)
        shapes |= conv(f"{name}_ms", classes, side, 1, bias=True)
    return shapes


def aspp(classes: int = 5, width: float = 1.0) -> Shapes:
    units = round(1024 * width)
    shapes = vgg16_convs(width)
    for i in (1, 2, 3, 4):
        shapes |= conv(f"fc6_{i}", units, round(512 * width), 3, bias=True)
        shapes |= conv(f"fc7_{i}", units, units, 1, bias=True)
        shapes |= conv(f"fc8_voc12_{i}", classes, units, 1, bias=True)
    return shapes


def segnet(classes: int = 5, width: float = 1.0) -> Shapes:
    """Convolutions with biases, BatchNorm of scale and shift alone."""
    down = list(vgg16(width))
    up = [(f"{name}_D", into, out) for name, out, into in reversed(down)]
    up[-1] = ("conv1_1_D", classes, round(64 * width))
    shapes: Shapes = {}
    for name, out, into in [*down, *up]:
        shapes |= conv(name, out, into, 3, bias=True)
        if name != "conv1_1_D":
            shapes |= {f"{name}_bn.weight": (1, out, 1, 1), f"{name}_bn.bias": (1, out, 1, 1)}
    return shapes
