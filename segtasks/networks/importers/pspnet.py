"""PSPNet in PyTorch: hszhao/semseg, mmsegmentation, segmentation-models-pytorch.

What tells the three networks apart (stem, first dilations, zoom) no tensor shows: they are networks
of their own in the registry.
"""

from collections.abc import Mapping

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.resnet_names import head
from segtasks.networks.importers.spelling import Spelling

_SEMSEG = Spelling(
    renames=(
        *resnet_names.deep_stem("layer0"),
        (r"^ppm\.convs\.(\d)\.bn\.", r"ppm.features.\1.2."),
        (r"^ppm\.convs\.(\d)\.", r"ppm.features.\1.1."),
        *head("main", "cls"),
        *head("auxiliary", "aux"),
    ),
    unused=(r"aux\..*",),
)

_MMSEG = Spelling(
    renames=(
        *resnet_names.deep_stem("stem"),
        resnet_names.under("backbone"),
        (r"^ppm\.convs\.(\d)\.bn\.", r"decode_head.psp_modules.\1.1.bn."),
        (r"^ppm\.convs\.(\d)\.", r"decode_head.psp_modules.\1.1.conv."),
        (r"^main\.conv\.bn\.", "decode_head.bottleneck.bn."),
        (r"^main\.conv\.", "decode_head.bottleneck.conv."),
        (r"^main\.classifier\.", "decode_head.conv_seg."),
        (r"^auxiliary\.conv\.bn\.", "auxiliary_head.convs.0.bn."),
        (r"^auxiliary\.conv\.", "auxiliary_head.convs.0.conv."),
        (r"^auxiliary\.classifier\.", "auxiliary_head.conv_seg."),
    ),
    unused=(r"auxiliary_head\..*",),
)

_SMP = Spelling(
    renames=(
        *resnet_names.TORCHVISION,
        resnet_names.under("encoder"),
        (r"^ppm\.convs\.(\d)\.bn\.", r"decoder.psp.blocks.\1.pool.1.1."),
        (r"^ppm\.convs\.(\d)\.", r"decoder.psp.blocks.\1.pool.1.0."),
        (r"^conv\.bn\.", "decoder.conv.1."),
        (r"^conv\.", "decoder.conv.0."),
        (r"^classifier\.", "segmentation_head.0."),
    )
)

LAYOUTS: Mapping[str, Mapping[str, Spelling]] = {
    "semseg": dict.fromkeys(("pspnet50", "pspnet101"), _SEMSEG),
    "mmseg": dict.fromkeys(("mmseg_pspnet50", "mmseg_pspnet101"), _MMSEG),
    "smp": {"smp_pspnet50": _SMP},
}
