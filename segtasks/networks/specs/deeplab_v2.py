"""The networks of DeepLab v2, with ASPP."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Option, Recipe

_VGG_OPTIONS: Mapping[str, Option] = {"batch_norm": False, "dropout": 0.5}
_RESNET = NetworkSpec(
    builder="segtasks.networks.architectures.deeplab_v2_resnet:DeepLabV2ResNet",
    lattice_px=8,
    output_stride=8,
    inputs=InputConvention("BGR", 255.0, (104.008, 116.669, 122.675), (1.0, 1.0, 1.0)),
    border="zero after normalisation",
    upsampling="bilinear, align_corners",
    size_rule="8k+1",
    stitch="crop",
    recipe=Recipe(
        learning_rate=2.5e-4,
        policy="poly",
        momentum=0.9,
        weight_decay=5e-4,
        crop_px=321,
        batch=10,
        iterations=20_000,
        source="Chen et al. 2018, sec. 4.1; crop as in kazuto1011's voc12.yaml",
        head_factor=10.0,
        bias_factor=2.0,
        loss_scales=(1.0, 0.75, 0.5),
    ),
    fixed={"depth": 101},
)
_ASPP_L = replace(
    _RESNET,
    builder="segtasks.networks.architectures.deeplab_v2:ASPP",
    recipe=replace(
        _RESNET.recipe,
        learning_rate=1e-3,
        source="Chen et al. 2018, sec. 4.1; poly of power 0.9, fc8 x10; train.prototxt",
        loss_scales=(1.0,),
    ),
    options=_VGG_OPTIONS,
    fixed={"rates": (6, 12, 18, 24)},
)

SPECS: Mapping[str, NetworkSpec] = {
    "deeplabv2_resnet101": _RESNET,
    "aspp_l": _ASPP_L,
    "aspp_s": replace(_ASPP_L, fixed={"rates": (2, 4, 8, 12)}),
}
