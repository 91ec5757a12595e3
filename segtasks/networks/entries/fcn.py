"""FCN on VGG16."""

from collections.abc import Mapping

from segtasks.networks.entry import InputConvention, NetworkEntry, Option, Recipe

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
    source="Long et al. 2015, sec. 4.3",
)

ENTRIES: Mapping[str, NetworkEntry] = {
    "fcn8s": NetworkEntry(
        builder="segtasks.networks.architectures.fcn:FCN8s",
        lattice_px=32,
        output_stride=8,
        inputs=_CAFFE,
        border="zero after normalisation",
        upsampling="frozen bilinear deconvolution, crops 5, 9, 31",
        size_rule="any",
        stitch="crop",
        recipe=_RECIPE,
        options=_OPTIONS,
    ),
    "fcn8s_lean": NetworkEntry(
        builder="segtasks.networks.architectures.fcn:FCN8sLean",
        lattice_px=32,
        output_stride=8,
        inputs=_CAFFE,
        border="zero after normalisation",
        upsampling="bilinear, half-pixel",
        size_rule="32k",
        stitch="crop",
        recipe=_RECIPE,
        options=_OPTIONS,
    ),
}
