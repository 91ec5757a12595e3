"""How far a point must look: the mask from windows of ever more context against the labels.

    python benchmarks/questions/context.py ortho.tif labels.tif --model trained.safetensors

Cores of 64 px are cut from windows with a halo, as tiles would be. *Unlike* are labels that differ
from one forward over the whole square; *cost* is px forwarded per px kept, far from borders.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from imagery import label_windows, labels_of, normalised, windows
from numpy.typing import NDArray
from showing import header, percent, row
from torch import Tensor, nn

from segtasks.evaluation.metrics import Scores, confusion
from segtasks.networks.inference.runtime import prepare
from segtasks.networks.model_file import load
from segtasks.pipeline.compute_slot import compute
from segtasks.raster.patches import halo_factor

Mask = NDArray[np.uint8]

HALOS_PX = (0, 32, 64, 128, 192, 256)
CORE_PX = 64


def tiled(network: nn.Module, x: Tensor, halo: int) -> Mask:
    """Class ids (H, W) from cores with ``halo`` px around them."""
    H, W = x.shape[2:]
    out = np.zeros((H, W), np.uint8)
    for top in range(0, H, CORE_PX):
        for left in range(0, W, CORE_PX):
            first, second = max(0, top - halo), max(0, left - halo)
            window = x[:, :, first : top + CORE_PX + halo, second : left + CORE_PX + halo]
            labels = labels_of(network, window)[0, top - first :, left - second :]
            out[top : top + CORE_PX, left : left + CORE_PX] = labels[:CORE_PX, :CORE_PX]
    return out


def table(model: Path, raw: Tensor, truth: Mask) -> None:
    """One row per halo, for one model."""
    module, card = load(model)
    x, network = normalised(raw, card.normalisation), prepare(module).module
    whole = labels_of(network, x)[0]
    for halo in (*HALOS_PX, None):
        labels = whole if halo is None else tiled(network, x, halo)
        found = Scores(confusion(labels, truth, len(card.classes)))
        cost = "" if halo is None else f"{halo_factor(CORE_PX, halo):.0f}"
        seen = "whole square" if halo is None else halo
        changed = percent((labels != whole).mean())
        row(f"`{card.network}`", seen, f"{found.mean_iou:.4f}", changed, cost)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--side", type=int, default=768, help="of the square looked at, px")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    raw = windows(chosen.raster, chosen.side, 1)
    truth = label_windows(chosen.labels, chosen.side, 1)[0]
    header("network", "halo, px", "mIoU", "labels changed", "cost")
    for model in chosen.model:
        # In the computing slot, as on the route: its freed memory is kept.
        compute(partial(table, model, raw, truth))


if __name__ == "__main__":
    main()
