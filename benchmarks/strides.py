"""Why 1/8 and 1/4 and not 1/1: what finer logits cost, and what they could be worth.

    python benchmarks/strides.py --labels labels.tif

*Cost* is at the published width, from shapes alone. *Worth* is what labels lose that are averaged
at 1/s and enlarged again, bilinear by half-pixels: no network of stride s that enlarges so can be
better (Long et al. 2015, table of upper bounds).
"""

import argparse
from math import isqrt
from pathlib import Path

import numpy as np
import rasterio
import torch
from imagery import BANDS, boundary_f
from tables import header, percent, row
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.cost import forward_bytes_per_px, gmac
from segtasks.networks.entry import Option
from segtasks.networks.weights import skeleton
from segtasks.patches import FORWARD_BUDGET_BYTES
from segtasks.scenes import scene_window
from segtasks.training.metrics import Scores, confusion

SIDE_PX = 512
CLASSES = 21
ROWS: tuple[tuple[str, int, dict[str, Option]], ...] = (
    ("fcn32s", 32, {}),
    ("fcn16s", 16, {}),
    ("fcn8s", 8, {}),
    ("fcn8s_lean", 8, {}),
    ("largefov", 8, {}),
    ("aspp_l", 8, {}),
    ("dilation8", 8, {}),
    ("deeplabv2_resnet101", 8, {}),
    ("pspnet50", 8, {}),
    ("refinenet50", 4, {}),
    ("refinenet50", 1, {"output_stride": 1}),
    ("segnet", 1, {}),
)
STRIDES = (32, 16, 8, 4, 2)
TOLERANCE_PX = 2.0
SCENE = (201, 2048)


def cost(name: str, stride: int, variant: dict[str, Option]) -> None:
    """A row: multiply-adds, memory, the side of a patch that fits the budget."""
    module = skeleton(name, classes=CLASSES, bands=len(BANDS), width=1.0, variant=variant).eval()
    work = gmac(module, bands=len(BANDS), height=SIDE_PX, width=SIDE_PX)
    fold_batch_norm(module)
    memory = forward_bytes_per_px(module, bands=len(BANDS))
    side = isqrt(FORWARD_BUDGET_BYTES // memory)
    row(f"`{name}`", f"1/{stride}", f"{work:.1f}", memory, side)


def finest_block() -> None:
    """What RefineNet's last block and classifier would cost at 1/1 as they are."""
    module = skeleton("refinenet50", classes=CLASSES, bands=3, width=1.0, variant={}).eval()
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 3, SIDE_PX, SIDE_PX, device="meta"))
    flops = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    last = sum(flops[f"RefineNet.{part}"] for part in ("refine1", "classifier")) / 2e9
    total = flops["Global"] / 2e9
    small, large = (256 * SIDE_PX**2 * 4 // 2**20 // factor for factor in (16, 1))
    print(f"\nlast block and classifier: {last:.1f} of {total:.1f} GMAC at 1/4,")
    print(f"{16 * last:,.0f} at 1/1; a map of 256 channels {small} MiB at 1/4, {large} at 1/1\n")


def coarse(labels: torch.Tensor, stride: int) -> np.ndarray:
    """Labels (H, W) after a stay at 1/stride."""
    shares = functional.one_hot(labels.long()).permute(2, 0, 1)[None].float()
    small = functional.avg_pool2d(shares, stride)
    large = functional.interpolate(small, scale_factor=float(stride), mode="bilinear")
    return large[0].argmax(dim=0).numpy().astype(np.uint8)


def worth(name: str, labels: np.ndarray) -> None:
    """Rows: what each stride leaves of these labels."""
    height, width = (size // STRIDES[0] * STRIDES[0] for size in labels.shape)
    truth = labels[:height, :width]
    classes = int(truth.max()) + 1
    for stride in STRIDES:
        found = coarse(torch.from_numpy(truth), stride)
        iou = Scores(confusion(found, truth, classes)).mean_iou
        unlike = percent((found != truth).mean())
        f = boundary_f(found, truth, TOLERANCE_PX)
        row(name, f"1/{stride}", f"{iou:.4f}", unlike, f"{f:.3f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, nargs="*", default=[], help="rasters of class ids")
    chosen = parser.parse_args()
    header("network", "logits", f"GMAC / {SIDE_PX} px", "B / px", "side in 2 GiB")
    for case in ROWS:
        cost(*case)
    finest_block()
    header("labels", "kept at", "mIoU", "unlike", f"F, {TOLERANCE_PX:g} px")
    seed, side = SCENE
    worth(f"scene {seed}", scene_window(seed, 0, 0, side, side)[1])
    for path in chosen.labels:
        with rasterio.open(path) as source:
            worth(path.stem, source.read(1))


if __name__ == "__main__":
    main()
