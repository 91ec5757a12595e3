"""Why 1/8 and 1/4 and not 1/1: what finer logits cost, and what they could be worth.

    python benchmarks/questions/strides.py --labels labels.tif --picture strides.png

*Cost* is at the published width, from shapes alone. *Worth* is what labels lose that are averaged
at 1/s and enlarged again, bilinear by half-pixels: no network of stride s that enlarges so can be
better (Long et al. 2015, table of upper bounds).
"""

import argparse
from math import isqrt
from pathlib import Path

import numpy as np
import torch
from imagery import BANDS, Labels, coloured, displacements, label_windows
from numpy.typing import NDArray
from showing import Panel, header, percent, row, sheet
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from segtasks.evaluation.metrics import IGNORE, Scores, confusion
from segtasks.networks import ClassEntry
from segtasks.networks.analysis.forward_cost import forward_bytes_per_px, gmac_per_mpx
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.network_spec import Option
from segtasks.networks.weights import skeleton
from segtasks.raster.patches import FORWARD_BUDGET_BYTES
from segtasks.training.synthetic import LEGEND, scene_window

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
SIDE_PX = 2048
LOST_PX = 2
SHOWN = slice(0, 256)


def cost(name: str, stride: int, variant: dict[str, Option]) -> None:
    """A row: multiply-adds, memory, the side of a patch that fits the budget."""
    module = skeleton(name, classes=CLASSES, bands=len(BANDS), width=1.0, variant=variant).eval()
    work = gmac_per_mpx(module, bands=len(BANDS))
    fold_batch_norm(module)
    memory = forward_bytes_per_px(module, bands=len(BANDS))
    side = isqrt(FORWARD_BUDGET_BYTES // memory)
    row(f"`{name}`", f"1/{stride}", f"{work:,.0f}", memory, side)


def finest_block(side: int = 1024) -> None:
    """What RefineNet's last block and classifier would cost at 1/1 as they are."""
    module = skeleton("refinenet50", classes=CLASSES, bands=3, width=1.0, variant={}).eval()
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 3, side, side, device="meta"))
    flops = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    unit = 2 * side**2 / 1e6 * 1e9
    last = sum(flops[f"RefineNet.{part}"] for part in ("refine1", "classifier")) / unit
    print(f"\nlast block and classifier: {last:.0f} of {flops['Global'] / unit:.0f} GMAC / Mpx")
    print(f"at 1/4, {16 * last:,.0f} at 1/1; a map of 256 channels 64 B / px, 1024 at 1/1\n")


def kept(labels: Labels, stride: int) -> NDArray[np.uint8]:
    """Labels (H, W) after a stay at 1/stride."""
    known = labels != IGNORE
    ids = torch.from_numpy(np.where(known, labels, 0)).long()
    shares = functional.one_hot(ids) * torch.from_numpy(known)[..., None]
    shares = shares.permute(2, 0, 1)[None].float()
    small = functional.avg_pool2d(shares, stride)
    large = functional.interpolate(small, scale_factor=float(stride), mode="bilinear")
    return large[0].argmax(dim=0).numpy().astype(np.uint8)


def worth(name: str, truth: NDArray[np.uint8]) -> None:
    """Rows: what each stride leaves of these labels (H, W)."""
    classes = int(truth[truth != IGNORE].max()) + 1
    for stride in STRIDES:
        found = kept(truth, stride)
        scores = Scores(confusion(found, truth, classes))
        lost = (displacements(truth, found) > LOST_PX).mean()
        error = percent(1 - scores.pixel_accuracy)
        row(name, f"1/{stride}", f"{scores.mean_iou:.4f}", error, percent(float(lost)))


def panels(truth: NDArray[np.uint8]) -> list[Panel]:
    """A corner of the labels as each stride leaves it."""
    classes = tuple(ClassEntry(id=i, name=n, color=c) for i, (n, c) in enumerate(LEGEND))
    reduced = {f"reduced to 1/{stride}": kept(truth, stride) for stride in STRIDES}
    forms = {"labels": truth} | reduced
    return [Panel(name, coloured(labels, classes)) for name, labels in forms.items()]


def main() -> None:
    """Print both tables, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, nargs="*", default=[], help="rasters of class ids")
    parser.add_argument("--picture", type=Path, help="of a corner of the synthetic scene")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    header("network", "logits at", "GMAC / Mpx", "B / px", "side in 2 GiB, px")
    for case in ROWS:
        cost(*case)
    finest_block()
    header("labels", "reduced to", "mIoU", "pixels wrong", f"edges lost (> {LOST_PX} px)")
    scene = scene_window(201, 0, 0, SIDE_PX, SIDE_PX)[1]
    worth("synthetic scene", scene)
    for path in chosen.labels:
        worth(path.stem, label_windows(path, SIDE_PX, 1)[0])
    if chosen.picture:
        sheet(panels(scene[SHOWN, SHOWN]), chosen.picture, columns=6)


if __name__ == "__main__":
    main()
