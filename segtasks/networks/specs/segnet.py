"""The networks SegNet and SegNet-Basic."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Recipe

_SEGNET = NetworkSpec(
    builder="segtasks.networks.architectures.segnet:SegNet",
    lattice_px=32,
    output_stride=1,
    inputs=InputConvention("BGR", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    border="zero after normalisation",
    upsampling="max-unpooling by the indices of the pooling",
    size_rule="any",
    stitch="crop",
    recipe=Recipe(
        learning_rate=1e-3,
        policy="fixed",
        momentum=0.9,
        weight_decay=5e-4,
        crop_px=None,
        batch=4,
        iterations=40_000,
        source="segnet_solver.prototxt, segnet_train.prototxt; bayesian: 60,000 iterations",
    ),
    options={"bayesian": False},
)

SPECS: Mapping[str, NetworkSpec] = {
    "segnet": _SEGNET,
    "segnet_basic": replace(
        _SEGNET,
        builder="segtasks.networks.architectures.segnet:SegNetBasic",
        lattice_px=16,
        recipe=replace(
            _SEGNET.recipe,
            learning_rate=0.1,
            iterations=10_000,
            source="segnet_basic_solver.prototxt, segnet_basic_train.prototxt",
        ),
        options={},
    ),
}
