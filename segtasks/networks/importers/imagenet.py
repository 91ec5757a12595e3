"""Layouts of ImageNet classifiers that become the backbones of networks."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.importers import caffe_blobs, resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping, Rename
from segtasks.networks.network_spec import InputConvention

_RGB = InputConvention("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_BGR = InputConvention("BGR", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))

_CONVS = r"conv\d_\d\.(weight|bias)$"
_CONVS_AND_FC = r"(conv\d_\d|fc[67])\.(weight|bias)$"
"""With the fully connected layers, as convolutions (FCN's ``surgery.transplant``)."""
_TRUNK = r"(small\.)?(conv1|layer\d)\."
_ALSO_SMALL: Rename = (r"^small\.", "")
"""Both trunks of RefineNet of two scales start from the same weights."""

_VGG_WITH_FC = (
    *("fcn32s", "fcn16s", "fcn8s", "fcn8s_lean", "dilation_frontend"),
    *("dilation7", "dilation8", "dilation8_large", "dilation10"),
)
_VGG = ("segnet", "deeplab_v1", "largefov", "msc_largefov", "aspp_s", "aspp_l")
"""Networks whose fc6 has another size or does not exist."""
_RESNETS = {
    "smp_pspnet50": 50,
    **{
        f"{family}_resnet{depth}": depth
        for family in ("fcn", "deeplabv3", "smp_deeplabv3")
        for depth in (50, 101)
    },
    **{f"refinenet{depth}{form}": depth for form in ("", "_2scale") for depth in (50, 101, 152)},
    "deeplabv2_resnet101": 101,
}
"""Networks with the 7x7 stem, and their depths."""

_FEATURES: Mapping[str, int] = {
    "1_1": 0,
    "1_2": 2,
    "2_1": 5,
    "2_2": 7,
    "3_1": 10,
    "3_2": 12,
    "3_3": 14,
    "4_1": 17,
    "4_2": 19,
    "4_3": 21,
    "5_1": 24,
    "5_2": 26,
    "5_3": 28,
}
"""Indices of convolutions in torchvision's vgg16().features, which also holds ReLUs and pools."""

_VGG_NAMES: tuple[Rename, ...] = (
    (r"^conv(\d_\d)\.", lambda found: f"features.{_FEATURES.get(found[1])}."),
    (r"^fc6\.", "classifier.0."),
    (r"^fc7\.", "classifier.3."),
)


def _torchvision() -> dict[str, KeyMapping]:
    """Return the layouts of vgg16 and resnet50, 101, 152, trained on red, green, blue."""
    vgg = KeyMapping(renames=_VGG_NAMES, inputs=_RGB, backbone=_CONVS)
    trunk = KeyMapping(
        renames=(_ALSO_SMALL, *resnet_names.TORCHVISION), inputs=_RGB, backbone=_TRUNK
    )
    return {
        **dict.fromkeys(_VGG, vgg),
        **dict.fromkeys(_VGG_WITH_FC, replace(vgg, backbone=_CONVS_AND_FC)),
        **dict.fromkeys(_RESNETS, trunk),
    }


def _caffe() -> dict[str, KeyMapping]:
    """Return the layouts of VGG_ILSVRC_16_layers and ResNet-50, 101, 152, in blue, green, red."""
    vgg = KeyMapping(prepare=caffe_blobs.named, inputs=_BGR, backbone=_CONVS)
    return {
        **dict.fromkeys(_VGG, vgg),
        **dict.fromkeys(_VGG_WITH_FC, replace(vgg, backbone=_CONVS_AND_FC)),
        **{
            name: replace(vgg, renames=(_ALSO_SMALL, *resnet_names.caffe(depth)), backbone=_TRUNK)
            for name, depth in _RESNETS.items()
        },
    }


BACKBONES: Mapping[str, Mapping[str, KeyMapping]] = {
    "torchvision": _torchvision(),
    "caffe": _caffe(),
}
