"""Layout of mmsegmentation: PSPNet, FCN and DeepLab v3 on its ResNetV1c.

Its networks differ from others of the same names in ways that no tensor shows (stem, first
dilations, the mean before the other branches, upsampling). They are separate networks of the
registry.
"""

from collections.abc import Mapping

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping, Rename


def _module(native: str, foreign: str) -> tuple[Rename, ...]:
    """Rename to its ConvModule: a convolution ``conv`` and a BatchNorm ``bn``."""
    return (
        (rf"^{native}\.bn\.", rf"{foreign}.bn."),
        (rf"^{native}\.(?=weight|bias)", rf"{foreign}.conv."),
    )


def _mapping(bottleneck: str, *parts: tuple[Rename, ...]) -> KeyMapping:
    """Map a network whose last 3x3 has the name ``bottleneck``, given the renames of its head."""
    return KeyMapping(
        renames=(
            *resnet_names.deep_stem("stem"),
            resnet_names.under("backbone"),
            *(rename for part in parts for rename in part),
            *_module(r"main\.conv", f"decode_head.{bottleneck}"),
            (r"^main\.classifier\.", "decode_head.conv_seg."),
            *_module(r"auxiliary\.conv", "auxiliary_head.convs.0"),
            (r"^auxiliary\.classifier\.", "auxiliary_head.conv_seg."),
        ),
        unused=(r"auxiliary_head\..*",),
    )


_PSPNET = _mapping("bottleneck", _module(r"ppm\.convs\.(\d)", r"decode_head.psp_modules.\1.1"))
_FCN = _mapping("conv_cat", _module(r"context\.convs\.(\d)", r"decode_head.convs.\1"))
_DEEPLAB_V3 = _mapping(
    "bottleneck",
    _module(r"context\.branches\.(\d)", r"decode_head.aspp_modules.\1"),
    _module(r"context\.mean", "decode_head.image_pool.1"),
)

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "mmseg": {
        **dict.fromkeys(("mmseg_pspnet50", "mmseg_pspnet101"), _PSPNET),
        **dict.fromkeys(("mmseg_fcn_resnet50", "mmseg_fcn_resnet101"), _FCN),
        **dict.fromkeys(("mmseg_deeplabv3_resnet50", "mmseg_deeplabv3_resnet101"), _DEEPLAB_V3),
    }
}
