"""Keys and shapes of other people's checkpoints, written down from facts/networks.md A.2.

Nothing here knows our names. All layouts list a network's tensors in one order, so two of them,
zipped, say the same thing twice. ``width`` narrows them as `build` narrows ours.
"""

from collections.abc import Callable, Iterator

Shapes = dict[str, tuple[int, ...]]
Part = Callable[[int, int, int], tuple[str, str]]
"""Stage and block from 0; 0, 1, 2 for a block's convolutions, 3 for its shortcut: the names of the
convolution and of its BatchNorm."""

VGG16 = {1: (64, 64), 2: (128, 128), 3: (256,) * 3, 4: (512,) * 3, 5: (512,) * 3}
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
LEAVES = ("weight", "bias", "running_mean", "running_var")


def conv(name: str, out: int, into: int, kernel: int, *, bias: bool = False) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (out, into, kernel, kernel)}
    return shapes | ({f"{name}.bias": (out,)} if bias else {})


def conv_bn(names: tuple[str, str], out: int, into: int, kernel: int) -> Shapes:
    return conv(names[0], out, into, kernel) | {f"{names[1]}.{leaf}": (out,) for leaf in LEAVES}


def vgg16(width: float = 1.0) -> Iterator[tuple[str, int, int]]:
    """Names, outputs and inputs of the thirteen convolutions."""
    into = 3
    for block, outs in VGG16.items():
        for i, out in enumerate(outs, start=1):
            yield f"conv{block}_{i}", round(out * width), into
            into = round(out * width)


def fcn(deconvolutions: dict[str, int], pools: dict[str, int], classes: int = 21) -> Shapes:
    """Caffe and wkentaro: deconvolutions by their factor, scored pools by their channels."""
    shapes: Shapes = {}
    for name, out, into in vgg16():
        shapes |= conv(name, out, into, 3, bias=True)
    shapes |= conv("fc6", 4096, 512, 7, bias=True) | conv("fc7", 4096, 4096, 1, bias=True)
    shapes |= conv("score_fr", classes, 4096, 1, bias=True)
    for pool, channels in pools.items():
        shapes |= conv(f"score_{pool}", classes, channels, 1, bias=True)
    for name, factor in deconvolutions.items():
        shapes |= conv(name, classes, classes, 2 * factor)
    return shapes


FCN8S = fcn({"upscore2": 2, "upscore_pool4": 2, "upscore8": 8}, {"pool4": 512, "pool3": 256})
FCN16S = fcn({"upscore2": 2, "upscore16": 16}, {"pool4": 512})
FCN32S = fcn({"upscore": 32}, {})


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
    shapes, into = {}, 3
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
    shapes = deep_stem("backbone.stem", (32, 32, 64), width)
    shapes |= stages(depth, round(64 * width), torchvision_part("backbone."), width)
    head, aux = "decode_head", "auxiliary_head"
    for i in range(4):
        home = f"{head}.psp_modules.{i}.1"
        shapes |= conv_bn((f"{home}.conv", f"{home}.bn"), inner, deepest, 1)
    joined = (f"{head}.bottleneck.conv", f"{head}.bottleneck.bn")
    shapes |= conv_bn(joined, inner, deepest + 4 * inner, 3)
    shapes |= conv(f"{head}.conv_seg", classes, inner, 1, bias=True)
    shapes |= conv_bn(
        (f"{aux}.convs.0.conv", f"{aux}.convs.0.bn"), round(256 * width), round(1024 * width), 3
    )
    return shapes | conv(f"{aux}.conv_seg", classes, round(256 * width), 1, bias=True)


def smp_pspnet(classes: int = 21) -> Shapes:
    shapes = stem("encoder.") | stages(50, 64, torchvision_part("encoder."))
    shapes |= conv("decoder.psp.blocks.0.pool.1.0", 128, 512, 1, bias=True)
    for i in (1, 2, 3):
        home = f"decoder.psp.blocks.{i}.pool.1"
        shapes |= conv_bn((f"{home}.0", f"{home}.1"), 128, 512, 1)
    shapes |= conv_bn(("decoder.conv.0", "decoder.conv.1"), 512, 512 + 4 * 128, 1)
    return shapes | conv("segmentation_head.0", classes, 512, 3, bias=True)


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
    home = "classifier.0.convs"
    shapes |= conv_bn((f"{home}.0.0", f"{home}.0.1"), inner, deepest, 1)
    for i in (1, 2, 3):
        shapes |= conv_bn((f"{home}.{i}.0", f"{home}.{i}.1"), inner, deepest, 3)
    shapes |= conv_bn((f"{home}.4.1", f"{home}.4.2"), inner, deepest, 1)
    project = ("classifier.0.project.0", "classifier.0.project.1")
    shapes |= conv_bn(project, inner, 5 * inner, 1)
    shapes |= conv_bn(("classifier.1", "classifier.2"), inner, inner, 3)
    shapes |= conv("classifier.4", classes, inner, 1, bias=True)
    return shapes | torchvision_aux(classes, width)
