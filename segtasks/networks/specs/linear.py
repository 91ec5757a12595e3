"""The linear pixel classifier."""

from collections.abc import Mapping

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Recipe

SPECS: Mapping[str, NetworkSpec] = {
    "linear": NetworkSpec(
        builder="segtasks.networks.architectures.linear:Linear",
        lattice_px=1,
        output_stride=1,
        inputs=InputConvention("RGB", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        border="none",
        upsampling="none",
        size_rule="any",
        stitch="crop",
        recipe=Recipe(
            learning_rate=1e-1,
            policy="fixed",
            momentum=0.9,
            weight_decay=0.0,
            crop_px=256,
            batch=4,
            iterations=None,
            source="ours",
        ),
    ),
}
