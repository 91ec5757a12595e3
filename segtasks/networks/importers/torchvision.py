"""Layout of torchvision.models.segmentation."""

from collections.abc import Mapping

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping, Rename
from segtasks.networks.importers.resnet_names import head

_TRUNK: tuple[Rename, ...] = (*resnet_names.TORCHVISION, resnet_names.under("backbone"))
_UNUSED = (r"aux_classifier\..*",)
"""The auxiliary head, unless ``auxiliary=True`` asks for it."""

_FCN = KeyMapping(
    renames=(*_TRUNK, *head("main", "classifier"), *head("auxiliary", "aux_classifier")),
    unused=_UNUSED,
)
_DEEPLAB_V3 = KeyMapping(
    renames=(
        *_TRUNK,
        *resnet_names.aspp("classifier.0"),
        (r"^main\.conv\.bn\.", "classifier.2."),
        (r"^main\.conv\.", "classifier.1."),
        (r"^main\.classifier\.", "classifier.4."),
        *head("auxiliary", "aux_classifier"),
    ),
    unused=_UNUSED,
)

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "torchvision": {
        **dict.fromkeys(("fcn_resnet50", "fcn_resnet101"), _FCN),
        **dict.fromkeys(("deeplabv3_resnet50", "deeplabv3_resnet101"), _DEEPLAB_V3),
    }
}
