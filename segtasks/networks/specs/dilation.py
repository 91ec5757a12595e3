"""The networks of dilated front-ends and context modules."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Option, Recipe

_MODULE = "segtasks.networks.architectures.dilation"
_OPTIONS: Mapping[str, Option] = {"batch_norm": False, "dropout": 0.5}

# The crops include a border of 186 px without labels.
_VOC = Recipe(
    learning_rate=1e-3,
    policy="fixed",
    momentum=0.9,
    weight_decay=5e-4,
    crop_px=500,
    batch=14,
    iterations=60_000,
    source="Yu & Koltun 2016, sec. 4; crop of docs/training.md, whose learning rate is 1e-4",
)
_LARGE = replace(
    _VOC,
    source=f"front-end: {_VOC.source}; then the context at 1e-3, then both at 1e-5",
)
_URBAN = replace(_VOC, learning_rate=1e-4, momentum=0.99, crop_px=628, batch=8, iterations=None)

_FRONTEND = NetworkSpec(
    builder=f"{_MODULE}:DilationFrontend",
    lattice_px=8,
    output_stride=8,
    inputs=InputConvention("BGR", 255.0, (102.93, 111.36, 116.52), (1.0, 1.0, 1.0)),
    border="reflect",
    upsampling="bilinear of probabilities, unit i on pixel 8i",
    size_rule="8k",
    stitch="crop",
    recipe=_VOC,
    options=_OPTIONS,
)

SPECS: Mapping[str, NetworkSpec] = {
    "dilation_frontend": _FRONTEND,
    "dilation8_large": replace(_FRONTEND, builder=f"{_MODULE}:DilationLarge", recipe=_LARGE),
    "dilation8": replace(
        _FRONTEND,
        builder=f"{_MODULE}:DilationBasic",
        fixed={"levels": 8},
        inputs=InputConvention("BGR", 255.0, (110.703, 108.778, 105.412), (1.0, 1.0, 1.0)),
        recipe=replace(
            _URBAN,
            iterations=20_000,
            source="CamVid: front-end first, then both with crops of 852 px at 1e-5",
        ),
    ),
    "dilation7": replace(
        _FRONTEND,
        builder=f"{_MODULE}:DilationBasic",
        fixed={"levels": 7},
        inputs=InputConvention("BGR", 255.0, (96.194, 95.551, 91.347), (1.0, 1.0, 1.0)),
        recipe=replace(_URBAN, source="KITTI, as CamVid; its iterations are not known to us"),
    ),
    "dilation10": replace(
        _FRONTEND,
        builder=f"{_MODULE}:Dilation10",
        inputs=InputConvention("BGR", 255.0, (72.39, 82.91, 73.16), (1.0, 1.0, 1.0)),
        upsampling="frozen bilinear deconvolution, half-pixel, zeros beyond the map",
        # A halo of 1,232 px makes five times the work at a step of 2048 px.
        stitch="blend",
        recipe=replace(
            _URBAN,
            iterations=40_000,
            source="Cityscapes: front-end, then 24,000 of the context on whole images in "
            "batches of 100, then 60,000 of both",
        ),
    ),
}
