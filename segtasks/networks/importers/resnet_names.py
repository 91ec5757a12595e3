"""The names of a ResNet's trunk, and of heads, that several layouts share.

Ours: ``conv1`` or ``conv1_1`` ... ``conv1_3``; ``layer3.22.conv2``, ``layer3.0.shortcut``. Each is
a convolution with its BatchNorm under ``.bn``.
"""

import re

from segtasks.networks.importers.key_mapping import Rename

_BLOCKS: tuple[Rename, ...] = (
    (r"^(layer\d\.\d+)\.conv(\d)\.bn\.", r"\1.bn\2."),
    (r"^(layer\d\.\d+)\.shortcut\.bn\.", r"\1.downsample.1."),
    (r"^(layer\d\.\d+)\.shortcut\.", r"\1.downsample.0."),
)

TORCHVISION: tuple[Rename, ...] = (*_BLOCKS, (r"^conv1\.bn\.", "bn1."))
"""torchvision's own, which all PyTorch ports took over."""

_BRANCHES = {"conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c", "shortcut": "branch1"}
_SHALLOW = 50


def deep_stem(name: str) -> tuple[Rename, ...]:
    """Three 3x3 in one sequence: convolutions are its members 0, 3, 6, BatchNorms 1, 4, 7."""

    def member(found: re.Match[str]) -> str:
        first = 3 * (int(found[1]) - 1)
        return f"{name}.{first + 1 if found[2] else first}."

    return (*_BLOCKS, (r"^conv1_(\d)\.(bn\.)?", member))


def head(ours: str, theirs: str) -> tuple[Rename, ...]:
    """Convolution, BatchNorm, ReLU, dropout, 1x1 in one sequence: its members 0, 1 and 4."""
    return (
        (rf"^{ours}\.conv\.bn\.", f"{theirs}.1."),
        (rf"^{ours}\.conv\.", f"{theirs}.0."),
        (rf"^{ours}\.classifier\.", f"{theirs}.4."),
    )


def aspp(theirs: str) -> tuple[Rename, ...]:
    """Torchvision's ASPP: five branches in one list, the mean of the map last and pooled first."""
    return (
        (r"^aspp\.branches\.(\d)\.bn\.", rf"{theirs}.convs.\1.1."),
        (r"^aspp\.branches\.(\d)\.", rf"{theirs}.convs.\1.0."),
        (r"^aspp\.mean\.bn\.", f"{theirs}.convs.4.2."),
        (r"^aspp\.mean\.", f"{theirs}.convs.4.1."),
        (r"^aspp\.project\.bn\.", f"{theirs}.project.1."),
        (r"^aspp\.project\.", f"{theirs}.project.0."),
    )


def under(prefix: str) -> Rename:
    """Put the trunk, already spelt, under a name."""
    return (r"^(?=(conv1|bn1|layer\d|stem)\.)", f"{prefix}.")


def caffe(depth: int, *, affine: str = "scale") -> tuple[Rename, ...]:
    """``layer3.22.conv1.bn.running_var`` -> ``bn4b22_branch2a.running_var``.

    Args:
        depth: 50 has letters for blocks; 101 and 152 have a, b1, b2 ... in the longer stages.
        affine: the layer that holds a BatchNorm's weight and bias: ``scale`` in Caffe, where it is
            a layer of its own, ``bn`` in MatConvNet.
    """

    def kind(bn: str | None, leaf: str) -> str:
        return "res" if bn is None else "bn" if leaf.startswith("running") else affine

    def block(found: re.Match[str]) -> str:
        stage, index = int(found[1]) + 1, int(found[2])
        numbered = depth > _SHALLOW and stage in (3, 4) and index
        name = f"b{index}" if numbered else "abcdef"[index]
        return f"{kind(found[4], found[5])}{stage}{name}_{_BRANCHES[found[3]]}.{found[5]}"

    def stem(found: re.Match[str]) -> str:
        return f"{kind(found[1], found[2])}_conv1.{found[2]}".removeprefix("res_")

    return (
        (r"^layer(\d)\.(\d+)\.(conv\d|shortcut)\.(bn\.)?(\w+)$", block),
        (r"^conv1\.(bn\.)?(\w+)$", stem),
    )
