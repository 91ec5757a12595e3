"""mmsegmentation: PSPNet, FCN and DeepLab v3 on its ResNetV1c.

What tells its networks from others of the same names (stem, first dilations, the mean before the
other branches, zoom) no tensor shows: they are networks of their own in the registry.
"""

from collections.abc import Mapping

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping, Rename


def _module(ours: str, theirs: str) -> tuple[Rename, ...]:
    """Its ConvModule: a convolution ``conv`` and a BatchNorm ``bn``."""
    return (
        (rf"^{ours}\.bn\.", rf"{theirs}.bn."),
        (rf"^{ours}\.(?=weight|bias)", rf"{theirs}.conv."),
    )


def _spelling(bottleneck: str, *parts: tuple[Rename, ...]) -> KeyMapping:
    """A network whose last 3x3 they call ``bottleneck``, by the parts of its head before that."""
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


_PSPNET = _spelling("bottleneck", _module(r"ppm\.convs\.(\d)", r"decode_head.psp_modules.\1.1"))
_FCN = _spelling("conv_cat", _module(r"context\.convs\.(\d)", r"decode_head.convs.\1"))
_DEEPLAB_V3 = _spelling(
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
