"""The networks of mmsegmentation, except its PSPNet, which is in `pspnet`."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import NetworkSpec
from segtasks.networks.specs import pspnet

_PSPNET50 = pspnet.SPECS["mmseg_pspnet50"]
_FCN50 = replace(
    _PSPNET50,
    builder="segtasks.networks.architectures.mmseg:MmsegNet",
    stitch="crop",
    recipe=replace(
        _PSPNET50.recipe,
        weight_decay=5e-4,
        crop_px=512,
        iterations=80_000,
        source="open-mmlab/mmsegmentation: configs/_base_/{datasets/ade20k,schedules/schedule_80k}"
        ".py, 4 images on each of 4 GPUs; poly of power 0.9 down to 1e-4",
        head_factor=1.0,
    ),
    fixed={"depth": 50, "head": "fcn"},
    pooled_halo_px=None,
)
_DEEPLAB50 = replace(_FCN50, stitch="blend", fixed={"depth": 50, "head": "deeplab_v3"})

SPECS: Mapping[str, NetworkSpec] = {
    "mmseg_fcn_resnet50": _FCN50,
    "mmseg_fcn_resnet101": replace(_FCN50, fixed={"depth": 101, "head": "fcn"}),
    "mmseg_deeplabv3_resnet50": _DEEPLAB50,
    "mmseg_deeplabv3_resnet101": replace(_DEEPLAB50, fixed={"depth": 101, "head": "deeplab_v3"}),
}
