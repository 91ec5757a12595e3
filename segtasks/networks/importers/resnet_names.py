"""Renames of a ResNet trunk and of heads that several layouts share.

Native names: ``conv1`` or ``conv1_1`` ... ``conv1_3``; ``layer3.22.conv2``, ``layer3.0.shortcut``.
Each is a convolution with its BatchNorm under ``.bn``.
"""

import re

from segtasks.networks.importers.key_mapping import Rename

_BLOCKS: tuple[Rename, ...] = (
    (r"^(layer\d\.\d+)\.conv(\d)\.bn\.", r"\1.bn\2."),
    (r"^(layer\d\.\d+)\.shortcut\.bn\.", r"\1.downsample.1."),
    (r"^(layer\d\.\d+)\.shortcut\.", r"\1.downsample.0."),
)

TORCHVISION: tuple[Rename, ...] = (*_BLOCKS, (r"^conv1\.bn\.", "bn1."))
"""The names of torchvision, which other PyTorch implementations use too."""

_BRANCHES = {"conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c", "shortcut": "branch1"}
_SHALLOW = 50


def deep_stem(name: str) -> tuple[Rename, ...]:
    """Rename a stem of three 3x3 in one sequence: convolutions 0, 3, 6 and BatchNorms 1, 4, 7."""

    def member(found: re.Match[str]) -> str:
        first = 3 * (int(found[1]) - 1)
        return f"{name}.{first + 1 if found[2] else first}."

    return (*_BLOCKS, (r"^conv1_(\d)\.(bn\.)?", member))


def head(native: str, foreign: str) -> tuple[Rename, ...]:
    """Rename a head in one sequence: convolution, BatchNorm and 1x1 are its members 0, 1 and 4."""
    return (
        (rf"^{native}\.conv\.bn\.", f"{foreign}.1."),
        (rf"^{native}\.conv\.", f"{foreign}.0."),
        (rf"^{native}\.classifier\.", f"{foreign}.4."),
    )


def aspp(foreign: str) -> tuple[Rename, ...]:
    """Rename torchvision's ASPP: five branches in one list, of which the last pools the map."""
    return (
        (r"^aspp\.branches\.(\d)\.bn\.", rf"{foreign}.convs.\1.1."),
        (r"^aspp\.branches\.(\d)\.", rf"{foreign}.convs.\1.0."),
        (r"^aspp\.mean\.bn\.", f"{foreign}.convs.4.2."),
        (r"^aspp\.mean\.", f"{foreign}.convs.4.1."),
        (r"^aspp\.project\.bn\.", f"{foreign}.project.1."),
        (r"^aspp\.project\.", f"{foreign}.project.0."),
    )


def under(prefix: str) -> Rename:
    """Add a prefix to the renamed keys of the trunk."""
    return (r"^(?=(conv1|bn1|layer\d|stem)\.)", f"{prefix}.")


def caffe(depth: int, *, affine: str = "scale") -> tuple[Rename, ...]:
    """Rename ``layer3.22.conv1.bn.running_var`` to ``bn4b22_branch2a.running_var``, and so on.

    Args:
        depth: 50 names blocks by letters; 101 and 152 use a, b1, b2 ... in their longer stages.
        affine: prefix of the layer that has the weight and bias of a BatchNorm: ``scale`` in Caffe,
            where it is a separate layer, ``bn`` in MatConvNet.
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
