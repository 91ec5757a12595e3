"""The RefineNet networks."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Recipe

_REFINENET50 = NetworkSpec(
    builder="segtasks.networks.architectures.refinenet:RefineNet",
    lattice_px=32,
    output_stride=4,
    inputs=InputConvention("RGB", 255.0, (128.0, 128.0, 128.0), (1.0, 1.0, 1.0)),
    border="zero after normalisation",
    upsampling="bicubic x2 between blocks, then bilinear, half-pixel",
    size_rule="32k",
    stitch="blend",
    recipe=Recipe(
        learning_rate=5e-5,
        policy="step",
        momentum=0.9,
        weight_decay=5e-4,
        crop_px=400,
        batch=1,
        iterations=None,
        source="demo_refinenet_train.m of guosheng/refinenet: 5e-4, the ResNet x0.1; /10 by hand",
        head_factor=10.0,
    ),
    options={"output_stride": 4, "chained_pools": 4, "pool_first": True, "upsampling": "bicubic"},
    fixed={"depth": 50},
)
_TWO_SCALES50 = replace(
    _REFINENET50,
    builder="segtasks.networks.architectures.refinenet_2scale:RefineNet2Scale",
    lattice_px=64,
    size_rule="64k",
    options={"chained_pools": 4, "pool_first": True, "upsampling": "bicubic"},
)

SPECS: Mapping[str, NetworkSpec] = {
    "refinenet50": _REFINENET50,
    "refinenet101": replace(_REFINENET50, fixed={"depth": 101}),
    "refinenet152": replace(_REFINENET50, fixed={"depth": 152}),
    "refinenet50_2scale": _TWO_SCALES50,
    "refinenet101_2scale": replace(_TWO_SCALES50, fixed={"depth": 101}),
    "refinenet152_2scale": replace(_TWO_SCALES50, fixed={"depth": 152}),
}
