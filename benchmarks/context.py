"""How far a point must look: the mask from windows of ever more context against the labels.

    python benchmarks/context.py ortho.tif labels.tif --model trained.safetensors

Cores of 64 px are cut from windows with a halo, as tiles would be. *Unlike* are labels that differ
from one forward over the whole image; *cost* is px forwarded per px kept, far from borders.
"""

import argparse
from pathlib import Path

import numpy as np
import rasterio
import torch
from imagery import BANDS, normalised
from numpy.typing import NDArray
from rasterio.windows import Window
from tables import header, percent, row
from torch import Tensor, nn

from segtasks.networks.model_file import load
from segtasks.networks.runtime import prepare
from segtasks.patches import halo_factor
from segtasks.training.metrics import Scores, confusion

Mask = NDArray[np.uint8]

HALOS_PX = (0, 32, 64, 96, 128, 160, 192, 224, 256)
CORE_PX = 64


def tiled(network: nn.Module, x: Tensor, halo: int) -> Mask:
    """Class ids (H, W) from cores with ``halo`` px around them."""
    H, W = x.shape[2:]
    out = np.zeros((H, W), np.uint8)
    for top in range(0, H, CORE_PX):
        for left in range(0, W, CORE_PX):
            first, second = max(0, top - halo), max(0, left - halo)
            window = x[:, :, first : top + CORE_PX + halo, second : left + CORE_PX + halo]
            labels = network(window)[0].argmax(dim=0).numpy()[top - first :, left - second :]
            out[top : top + CORE_PX, left : left + CORE_PX] = labels[:CORE_PX, :CORE_PX]
    return out


def table(model: Path, raw: Tensor, truth: Mask) -> None:
    """One row per halo, for one model."""
    module, card = load(model)
    x, ready = normalised(raw, card.normalisation), prepare(module)
    network: nn.Module = ready.module
    whole = network(x)[0].argmax(dim=0).numpy().astype(np.uint8)
    for halo in (*HALOS_PX, None):
        labels = whole if halo is None else tiled(network, x, halo)
        found = Scores(confusion(labels, truth, len(card.classes)))
        cost = "" if halo is None else f"{halo_factor(CORE_PX, halo):.0f}"
        seen = "whole image" if halo is None else halo
        unlike = percent((labels != whole).mean())
        row(f"`{card.network}`", seen, f"{found.mean_iou:.4f}", unlike, cost)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--side", type=int, default=1024, help="of the square looked at, px")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    area = Window(0, 0, chosen.side, chosen.side)
    with rasterio.open(chosen.raster) as image, rasterio.open(chosen.labels) as labels:
        raw = torch.from_numpy(image.read(BANDS, window=area).astype(np.float32))[None]
        truth = labels.read(1, window=area)
    header("network", "halo, px", "mIoU", "unlike", "cost")
    with torch.inference_mode():
        for model in chosen.model:
            table(model, raw, truth)


if __name__ == "__main__":
    main()
