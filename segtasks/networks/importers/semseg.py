"""Layout of PSPNet in hszhao/semseg."""

from collections.abc import Mapping

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping
from segtasks.networks.importers.resnet_names import head

_PSPNET = KeyMapping(
    renames=(
        *resnet_names.deep_stem("layer0"),
        (r"^ppm\.convs\.(\d)\.bn\.", r"ppm.features.\1.2."),
        (r"^ppm\.convs\.(\d)\.", r"ppm.features.\1.1."),
        *head("main", "cls"),
        *head("auxiliary", "aux"),
    ),
    unused=(r"aux\..*",),
)

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "semseg": dict.fromkeys(("pspnet50", "pspnet101"), _PSPNET),
}
