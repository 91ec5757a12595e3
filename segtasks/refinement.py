"""The job's part on the CRF: which, how strong, how far, in what windows."""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "kraehenbuehl": {
        "iterations": 5,
        "pos_w": 3,
        "pos_xy_std": 3,
        "bi_w": 10,
        "bi_xy_std": 80,
        "bi_rgb_std": 13,
    },
    "deeplab": {
        "iterations": 10,
        "pos_w": 3,
        "pos_xy_std": 1,
        "bi_w": 4,
        "bi_xy_std": 67,
        "bi_rgb_std": 3,
    },
    "aerial": {
        "iterations": 5,
        "pos_w": 3,
        "pos_xy_std": 3,
        "bi_w": 4,
        "bi_xy_std": 30,
        "bi_rgb_std": 5,
    },
}
"""kraehenbuehl: the paper's example, pydensecrf's README and ConvCRF. deeplab: DeepLab v2 on
ResNet-101, all configurations of kazuto1011/deeplab-pytorch. Both were tuned on photographs of
500 px. aerial: DeepLab's, of a reach that fits roads and roofs of 0.1-0.5 m per pixel."""
