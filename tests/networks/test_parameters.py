"""Test parameter counts at the published width: exact integers by the papers' definitions.

facts/networks.md 0.1, each cross-checked there against an independent implementation.
"""

from typing import Any

import pytest
import torch

from segtasks.networks import build, names
from segtasks.networks.analysis.forward_cost import parameters

COUNTS: dict[str, dict[int, int]] = {
    "fcn32s": {21: 136_152_917},
    "fcn16s": {21: 134_815_994},
    "fcn8s": {2: 134_271_430, 6: 134_300_114, 21: 134_489_759},
    # no deconvolutions
    "fcn8s_lean": {21: 134_489_759 - 127_008},
    "segnet": {2: 29_444_162, 6: 29_446_470, 11: 29_449_355},
    "segnet_basic": {11: 1_416_587},
    "dilation_frontend": {21: 134_346_581},
    "dilation8": {2: 134_269_010, 6: 134_287_478, 11: 134_313_443, 21: 134_374_973},
    "dilation8_large": {21: 141_149_720},
    "dilation7": {11: 134_312_343},
    "dilation10": {19: 134_368_179},
    "deeplab_v1": {21: 65_140_565},
    "largefov": {2: 20_485_954, 6: 20_490_054, 21: 20_505_429},
    "msc_largefov": {2: 21_679_820, 6: 21_686_500, 21: 21_711_550},
    "aspp_s": {2: 37_799_752, 6: 37_816_152, 21: 37_877_652},
    "aspp_l": {2: 37_799_752, 6: 37_816_152, 21: 37_877_652},
    "deeplabv2_resnet101": {2: 42_647_624, 6: 42_942_552, 19: 43_901_068, 21: 44_048_532},
    "pspnet50": {2: 46_706_626, 6: 46_708_678, 21: 46_716_373, 150: 46_782_550},
    "caffe_pspnet50": {150: 46_782_550},
    "pspnet101": {2: 65_698_754, 6: 65_700_806, 21: 65_708_501},
    "refinenet50": {21: 99_060_309},
    "refinenet101": {2: 118_008_642, 6: 118_017_862, 21: 118_052_437},
    "refinenet152": {21: 133_696_085},
    # One scale; another trunk; four more paths, and a convolution to join the deepest two.
    "refinenet50_2scale": {21: 99_060_309 + 23_508_032 + 34_212_352 + 2_359_296},
    "refinenet101_2scale": {21: 118_052_437 + 42_500_160 + 34_212_352 + 2_359_296},
    "refinenet152_2scale": {21: 133_696_085 + 58_143_808 + 34_212_352 + 2_359_296},
    # Added up from their layers. mmsegmentation documents 48.98 M for PSPNet-50 of 19 classes with
    # its auxiliary head (docs, get_flops.py), which has the same trunk.
    "mmseg_fcn_resnet50": {21: 23_527_264 + 23_596_032 + 10_773},
    "mmseg_fcn_resnet101": {21: 42_519_392 + 23_596_032 + 10_773},
    "mmseg_deeplabv3_resnet50": {21: 23_527_264 + 42_211_328 + 10_773},
    "mmseg_deeplabv3_resnet101": {21: 42_519_392 + 42_211_328 + 10_773},
    # torchvision's, which has its shapes, without the auxiliary head
    "smp_deeplabv3_resnet50": {21: 42_004_074 - 2_365_205},
    "smp_deeplabv3_resnet101": {21: 60_996_202 - 2_365_205},
    "linear": {21: 84},
}
WITH_OPTIONS: list[tuple[str, dict[str, Any], int]] = [
    ("pspnet50", {"auxiliary": True}, 49_081_578),
    ("pspnet101", {"auxiliary": True}, 68_073_706),
    ("fcn_resnet50", {"auxiliary": True}, 35_322_218),
    ("fcn_resnet101", {"auxiliary": True}, 54_314_346),
    ("deeplabv3_resnet50", {"auxiliary": True}, 42_004_074),
    ("deeplabv3_resnet101", {"auxiliary": True}, 60_996_202),
    ("mmseg_fcn_resnet50", {"auxiliary": True}, 49_499_274),
    ("mmseg_deeplabv3_resnet50", {"auxiliary": True}, 68_114_570),
    ("refinenet101", {"chained_pools": 2}, 109_794_901),
    ("smp_pspnet50", {}, 24_393_173),
]
ROWS: list[tuple[str, dict[str, Any], int, int]] = [
    (name, {}, classes, count)
    for name, by_classes in COUNTS.items()
    for classes, count in by_classes.items()
] + [(name, variant, 21, count) for name, variant, count in WITH_OPTIONS]


def test_the_trunk_of_mmsegmentation_has_the_parameters_it_documents() -> None:
    with torch.device("meta"):
        network = build("mmseg_pspnet50", classes=19, auxiliary=True)
    assert round(parameters(network) / 1e6, 2) == 48.98


@pytest.mark.parametrize(
    ("name", "variant", "classes", "count"), [row for row in ROWS if row[0] in names()]
)
def test_parameters_are_those_of_the_paper(
    name: str, variant: dict[str, Any], classes: int, count: int
) -> None:
    with torch.device("meta"):
        network = build(name, classes=classes, **variant)
    assert parameters(network) == count
