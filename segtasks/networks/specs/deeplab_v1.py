"""The networks of DeepLab v1 on VGG16."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Option, Recipe

_MODULE = "segtasks.networks.architectures.deeplab_v1"
_OPTIONS: Mapping[str, Option] = {"batch_norm": False, "dropout": 0.5}
_RECIPE = Recipe(
    learning_rate=1e-3,
    policy="step",
    momentum=0.9,
    weight_decay=5e-4,
    crop_px=321,
    batch=30,
    iterations=6000,
    source="Chen et al. 2015, sec. 4.1; solver.prototxt: x0.1 every 2000, fc8 x10, biases x2",
    head_factor=10.0,
    bias_factor=2.0,
)
_LARGEFOV = NetworkSpec(
    builder=f"{_MODULE}:LargeFOV",
    lattice_px=8,
    output_stride=8,
    inputs=InputConvention("BGR", 255.0, (104.008, 116.669, 122.675), (1.0, 1.0, 1.0)),
    border="zero after normalisation",
    upsampling="bilinear, align_corners",
    size_rule="8k+1",
    stitch="crop",
    recipe=_RECIPE,
    options=_OPTIONS,
)

SPECS: Mapping[str, NetworkSpec] = {
    "deeplab_v1": replace(
        _LARGEFOV,
        builder=f"{_MODULE}:DeepLab",
        upsampling="bilinear, align_corners, cropped by 7 and 8",
        size_rule="8k+2",
        recipe=replace(_RECIPE, crop_px=306, batch=20),
    ),
    "largefov": _LARGEFOV,
    "msc_largefov": replace(
        _LARGEFOV,
        builder=f"{_MODULE}:MScLargeFOV",
        output_stride=1,
        upsampling="bilinear, align_corners, by 2, 4 and 8 before the sum",
        recipe=replace(_RECIPE, source=f"{_RECIPE.source}; from LargeFOV, which stays as it is"),
    ),
}
