"""Layouts of DeepLab v2 on ResNet-101: kazuto1011/deeplab-pytorch, isht7/pytorch-deeplab-resnet."""

import re
from collections.abc import Mapping

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping

_PARTS = {"conv1": "reduce", "conv2": "conv3x3", "conv3": "increase", "shortcut": "shortcut"}


def _block(found: re.Match[str]) -> str:
    """layer3.0.conv2 -> layer4.block1.conv3x3: they count from 1, and the stem is layer1."""
    stage, block = int(found[1]) + 1, int(found[2]) + 1
    return f"layer{stage}.block{block}.{_PARTS[found[3]]}"


_KAZUTO = KeyMapping(
    renames=(
        (r"^((?:conv1|layer).*)(?<!\.bn)\.weight$", r"\1.conv.weight"),
        (r"^conv1\.", "layer1.conv1."),
        (r"^layer(\d)\.(\d+)\.(conv\d|shortcut)", _block),
        (r"^aspp\.", "aspp.c"),
    )
)
_ISHT7 = KeyMapping(
    renames=(*resnet_names.TORCHVISION, (r"^aspp\.", "layer5.conv2d_list.")),
)

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "kazuto": {"deeplabv2_resnet101": _KAZUTO},
    "isht7": {"deeplabv2_resnet101": _ISHT7},
}
