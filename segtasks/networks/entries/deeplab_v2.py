"""DeepLab v2: ASPP."""

from collections.abc import Mapping

from segtasks.networks.entry import InputConvention, NetworkEntry, Recipe

ENTRIES: Mapping[str, NetworkEntry] = {
    "deeplabv2_resnet101": NetworkEntry(
        builder="segtasks.networks.architectures.deeplab_v2_resnet:DeepLabV2ResNet",
        lattice_px=8,
        output_stride=8,
        inputs=InputConvention("BGR", 255.0, (104.008, 116.669, 122.675), (1.0, 1.0, 1.0)),
        border="zero after normalisation",
        upsampling="bilinear, align_corners",
        size_rule="8k+1",
        stitch="crop",
        recipe=Recipe(
            learning_rate=2.5e-4,
            policy="poly",
            momentum=0.9,
            weight_decay=5e-4,
            crop_px=321,
            batch=10,
            iterations=20_000,
            source="Chen et al. 2018, sec. 4.1; crop as in kazuto1011's voc12.yaml",
            head_factor=10.0,
        ),
        fixed={"depth": 101},
    ),
}
