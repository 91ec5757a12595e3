"""DeepLab v1 on VGG16."""

from collections.abc import Mapping

from segtasks.networks.entry import InputConvention, NetworkEntry, Option, Recipe

_OPTIONS: Mapping[str, Option] = {"batch_norm": False, "dropout": 0.5}

ENTRIES: Mapping[str, NetworkEntry] = {
    "largefov": NetworkEntry(
        builder="segtasks.networks.architectures.deeplab_v1:LargeFOV",
        lattice_px=8,
        output_stride=8,
        inputs=InputConvention("BGR", 255.0, (104.008, 116.669, 122.675), (1.0, 1.0, 1.0)),
        border="zero after normalisation",
        upsampling="bilinear, align_corners",
        size_rule="8k+1",
        stitch="crop",
        recipe=Recipe(
            learning_rate=1e-3,
            policy="step",
            momentum=0.9,
            weight_decay=5e-4,
            crop_px=321,
            batch=30,
            iterations=6000,
            source="Chen et al. 2015, sec. 4.1; solver.prototxt: x0.1 every 2000, fc8 x10",
        ),
        options=_OPTIONS,
    ),
}
