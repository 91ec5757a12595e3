"""Layout of segmentation-models-pytorch: PSPNet and DeepLab v3.

They differ from the networks of the papers in ways that no tensor shows (depth, dilations, order of
the concatenation, upsampling). They are separate networks of the registry.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping, Rename

if TYPE_CHECKING:
    from torch import Tensor

_TRUNK: tuple[Rename, ...] = (*resnet_names.TORCHVISION, resnet_names.under("encoder"))

_PSPNET = KeyMapping(
    renames=(
        *_TRUNK,
        (r"^ppm\.convs\.(\d)\.bn\.", r"decoder.psp.blocks.\1.pool.1.1."),
        (r"^ppm\.convs\.(\d)\.", r"decoder.psp.blocks.\1.pool.1.0."),
        (r"^conv\.bn\.", "decoder.conv.1."),
        (r"^conv\.", "decoder.conv.0."),
        (r"^classifier\.", "segmentation_head.0."),
    )
)

_MEMBERS = {"0": "aspp", "1": "conv", "2": "bn"}
"""Members of DeepLab's decoder before version 0.6, when it was a sequence."""


def _names_of_0_6(found: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Name the members of DeepLab's decoder as in version 0.6; before, it was a sequence."""
    return {
        re.sub(r"^decoder\.([012])\.", lambda key: f"decoder.{_MEMBERS[key[1]]}.", key): value
        for key, value in found.items()
    }


_DEEPLAB_V3 = KeyMapping(
    renames=(
        *_TRUNK,
        *resnet_names.aspp("decoder.aspp"),
        (r"^main\.conv\.bn\.", "decoder.bn."),
        (r"^main\.conv\.", "decoder.conv."),
        (r"^main\.classifier\.", "segmentation_head.0."),
    ),
    prepare=_names_of_0_6,
)

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "smp": {
        "smp_pspnet50": _PSPNET,
        **dict.fromkeys(("smp_deeplabv3_resnet50", "smp_deeplabv3_resnet101"), _DEEPLAB_V3),
    }
}
