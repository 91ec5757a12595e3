"""The segmentation networks of torchvision."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Recipe

_FCN50 = NetworkSpec(
    builder="segtasks.networks.architectures.torchvision:TorchvisionNet",
    lattice_px=8,
    output_stride=8,
    inputs=InputConvention("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    border="zero after normalisation",
    upsampling="bilinear, half-pixel",
    size_rule="8k",
    stitch="crop",
    recipe=Recipe(
        learning_rate=2e-2,
        policy="poly",
        momentum=0.9,
        weight_decay=1e-4,
        crop_px=480,
        batch=32,
        iterations=None,
        source="pytorch/vision, references/segmentation: 30 epochs of COCO, auxiliary head x10",
        auxiliary_weight=0.5,
    ),
    options={"auxiliary": False},
    fixed={"depth": 50, "head": "fcn"},
)
_DEEPLAB50 = replace(_FCN50, stitch="blend", fixed={"depth": 50, "head": "deeplab_v3"})

SPECS: Mapping[str, NetworkSpec] = {
    "fcn_resnet50": _FCN50,
    "fcn_resnet101": replace(_FCN50, fixed={"depth": 101, "head": "fcn"}),
    "deeplabv3_resnet50": _DEEPLAB50,
    "deeplabv3_resnet101": replace(_DEEPLAB50, fixed={"depth": 101, "head": "deeplab_v3"}),
}
