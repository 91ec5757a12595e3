"""The networks of segmentation-models-pytorch that differ from the papers."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec
from segtasks.networks.specs import pspnet, torchvision

_MODULE = "segtasks.networks.architectures.smp"
_PAPER = pspnet.SPECS["pspnet50"]
_PSPNET50 = replace(
    _PAPER,
    builder=f"{_MODULE}:SmpPSPNet",
    inputs=InputConvention("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    size_rule="8k",
    recipe=replace(_PAPER.recipe, auxiliary_weight=0.0, source="none published; PSPNet's"),
    options={"dropout": 0.2},
    # Positions in its upsampling depend on the size, so that no halo makes tiles exact.
    pooled_halo_px=None,
)
_DEEPLAB50 = replace(
    _PSPNET50,
    builder=f"{_MODULE}:SmpDeepLabV3",
    recipe=replace(
        torchvision.SPECS["deeplabv3_resnet50"].recipe,
        auxiliary_weight=0.0,
        source="none published; torchvision's of DeepLab v3",
    ),
    options={"dropout": 0.5},
)

SPECS: Mapping[str, NetworkSpec] = {
    "smp_pspnet50": _PSPNET50,
    "smp_deeplabv3_resnet50": _DEEPLAB50,
    "smp_deeplabv3_resnet101": replace(_DEEPLAB50, fixed={"depth": 101}),
}
