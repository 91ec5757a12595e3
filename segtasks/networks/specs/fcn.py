"""The FCN networks on VGG16."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Option, Recipe

_CAFFE = InputConvention("BGR", 255.0, (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0))
_OPTIONS: Mapping[str, Option] = {"batch_norm": False, "dropout": 0.5}
_RECIPE = Recipe(
    learning_rate=1e-4,
    policy="fixed",
    momentum=0.9,
    weight_decay=5e-4,
    crop_px=None,
    batch=20,
    iterations=None,
    source="Long et al. 2015, sec. 4.3; net.py: biases x2",
    bias_factor=2.0,
)

_FCN32S = NetworkSpec(
    builder="segtasks.networks.architectures.fcn:FCN32s",
    lattice_px=32,
    output_stride=32,
    inputs=_CAFFE,
    border="zero after normalisation",
    upsampling="frozen bilinear deconvolution, crop 19",
    size_rule="any",
    stitch="crop",
    recipe=_RECIPE,
    options=_OPTIONS,
    # Units lie on 32 i + 12.5: of the 100 px of padding, 81 put the first unit on pixel 0.
    mirrored_px=26,
)

SPECS: Mapping[str, NetworkSpec] = {
    "fcn32s": _FCN32S,
    "fcn16s": replace(
        _FCN32S,
        builder="segtasks.networks.architectures.fcn:FCN16s",
        output_stride=16,
        upsampling="frozen bilinear deconvolution, crops 5, 27",
    ),
    "fcn8s": replace(
        _FCN32S,
        builder="segtasks.networks.architectures.fcn:FCN8s",
        output_stride=8,
        upsampling="frozen bilinear deconvolution, crops 5, 9, 31",
        options={**_OPTIONS, "at_once": False},
    ),
    "fcn8s_lean": replace(
        _FCN32S,
        builder="segtasks.networks.architectures.fcn:FCN8sLean",
        output_stride=8,
        upsampling="bilinear, half-pixel",
        size_rule="32k",
        mirrored_px=None,
    ),
}
