"""The PSPNet networks."""

from collections.abc import Mapping
from dataclasses import replace

from segtasks.networks.network_spec import InputConvention, NetworkSpec, Recipe

_SEMSEG = InputConvention("RGB", 255.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_PSPNET50 = NetworkSpec(
    builder="segtasks.networks.architectures.pspnet:PSPNet",
    lattice_px=8,
    output_stride=8,
    inputs=_SEMSEG,
    border="zero after normalisation",
    upsampling="bilinear, align_corners",
    size_rule="8k+1",
    stitch="blend",
    recipe=Recipe(
        learning_rate=1e-2,
        policy="poly",
        momentum=0.9,
        weight_decay=1e-4,
        crop_px=473,
        batch=16,
        iterations=150_000,
        source="Zhao et al. 2017, sec. 4.1; ADE20K, crop, head x10, 150k as in hszhao/semseg",
        head_factor=10.0,
        auxiliary_weight=0.4,
    ),
    options={"auxiliary": False, "dropout": 0.1},
    fixed={"depth": 50},
    pooled_halo_px=248,
)
_MMSEG50 = replace(
    _PSPNET50,
    upsampling="bilinear, half-pixel",
    size_rule="8k",
    fixed={"depth": 50, "layout": "mmseg"},
    pooled_halo_px=232,
)

SPECS: Mapping[str, NetworkSpec] = {
    "pspnet50": _PSPNET50,
    "pspnet101": replace(_PSPNET50, fixed={"depth": 101}, pooled_halo_px=520),
    "caffe_pspnet50": replace(
        _PSPNET50, fixed={"depth": 50, "layout": "caffe50"}, pooled_halo_px=256
    ),
    "mmseg_pspnet50": _MMSEG50,
    "mmseg_pspnet101": replace(
        _MMSEG50, fixed={"depth": 101, "layout": "mmseg"}, pooled_halo_px=504
    ),
}
