"""How networks enlarge their maps, and what that changes on labelled imagery.

    python benchmarks/questions/upsampling.py ortho.tif labels.tif \
        --train more.tif more_labels.tif --model fcn8s_lean.safetensors segnet.safetensors

The same trained weights under other enlargements. *Learnt* is a deconvolution between all classes
in place of FCN-8s's last zoom, begun as the bilinear one and trained alone on ``--train``. *Edges
moved* is the distance to the nearest edge under the published enlargement.
"""

import argparse
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from imagery import coloured, displacements, label_windows, labels_of, normalised, pixels, windows
from narrow import doublings, with_statistics
from numpy.typing import NDArray
from showing import Panel, header, percent, row, sheet
from torch import Tensor, nn
from torch.nn import functional

from segtasks.evaluation.metrics import IGNORE, Scores, confusion
from segtasks.networks import Card
from segtasks.networks.architectures.fcn import FCN8sLean
from segtasks.networks.architectures.layers import bilinear_deconv
from segtasks.networks.architectures.segnet import Place, SegNet
from segtasks.networks.model_file import load
from segtasks.pipeline.compute_slot import compute

TRAINED_ON, STEPS, BATCH = 4, 300, 4
"""Windows per raster, iterations and windows per iteration of the trained kernel."""
SHOWN = slice(128, 384)

Forms = dict[str, nn.Module]


@dataclass(frozen=True)
class Imagery:
    """Raw windows (N, 3, H, W) and their labels (N, H, W)."""

    raw: Tensor
    truth: NDArray[np.uint8]


def imagery(pairs: Sequence[tuple[Path, Path]], side: int, count: int) -> Imagery:
    """Windows of rasters and of their labels, so many of each."""
    raw = [windows(image, side, count) for image, _ in pairs]
    truth = [label_windows(labels, side, count) for _, labels in pairs]
    return Imagery(torch.cat(raw), np.concatenate(truth))


class Zoomed(nn.Module):
    """FCN-8s lean whose logits at 1/8 are enlarged by ``zoom``."""

    def __init__(self, network: FCN8sLean, zoom: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.zoom = zoom

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 32 k, 32 l) -> logits (N, K, 32 k, 32 l)."""
        return self.zoom(self.network.coarse_logits(x))


class Deconvolution(nn.Module):
    """x8 by a kernel of 16 between all classes, at first FCN's bilinear one."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.deconv = bilinear_deconv(classes, 8).requires_grad_()

    def forward(self, units: Tensor) -> Tensor:
        """(N, K, h, w) -> (N, K, 8 h, 8 w); beyond the map the outermost units are repeated."""
        y: Tensor = self.deconv(functional.pad(units, [1, 1, 1, 1], mode="replicate"))
        return y[:, :, 12:-12, 12:-12]


class NoIndices(nn.Module):
    """SegNet's unpooling without its memory: bilinear, of a quarter, so that sums stay the same."""

    def forward(self, x: Tensor, places: list[Place]) -> Tensor:
        """(N, C, h, w) -> (N, C, H, W)."""
        _, size = places.pop()
        return functional.interpolate(x / 4, size, mode="bilinear")


def trained(network: FCN8sLean, card: Card, material: Imagery) -> Deconvolution:
    """The kernel of the last enlargement, trained on what the network makes of the imagery."""
    x = normalised(material.raw, card.normalisation)
    with torch.no_grad():
        units = torch.cat([network.coarse_logits(window[None]) for window in x])
    labels = torch.from_numpy(material.truth).long()
    made = Deconvolution(len(card.classes))
    optimizer = torch.optim.Adam(made.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        drawn = torch.randperm(len(units), generator=generator)[:BATCH]
        loss = functional.cross_entropy(made(units[drawn]), labels[drawn], ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return made


def fcn_forms(network: FCN8sLean, card: Card, material: Imagery) -> Forms:
    """The last enlargement, x8."""

    def zoom(mode: str, *, aligned: bool | None = None) -> nn.Module:
        def enlarge(units: Tensor) -> Tensor:
            return functional.interpolate(units, scale_factor=8, mode=mode, align_corners=aligned)

        return Zoomed(network, enlarge)

    return {
        "bilinear": network,
        "nearest": zoom("nearest"),
        "bicubic": zoom("bicubic", aligned=False),
        "align_corners": zoom("bilinear", aligned=True),
        "trained kernel": Zoomed(network, trained(network, card, material)),
    }


def segnet_forms(network: SegNet, card: Card, material: Imagery) -> Forms:
    """The places of maxima against none, with BatchNorms that know of it."""
    without = deepcopy(network)
    without.unpool = NoIndices()  # type: ignore[assignment]  # same call
    x = normalised(material.raw, card.normalisation)
    return {"indices": network, "bilinear": with_statistics(without, x)}


def forms_of(path: Path, material: Imagery) -> tuple[Forms, Card]:
    """The published form first."""
    network, card = load(path)
    if isinstance(network, FCN8sLean):
        return fcn_forms(network, card, material), card
    if isinstance(network, SegNet):
        return segnet_forms(network, card, material), card
    return doublings(network), card


def compare(path: Path, material: Imagery, seen: Imagery) -> list[Panel]:
    """Rows, one per form; what the picture needs."""
    forms, card = forms_of(path, material)
    x = normalised(seen.raw, card.normalisation)
    masks = {name: labels_of(form, x) for name, form in forms.items()}
    published = next(iter(masks.values()))
    for name, mask in masks.items():
        score = Scores(confusion(mask, seen.truth, len(card.classes))).mean_iou
        pairs = zip(mask, published, strict=True)
        moved = np.concatenate([displacements(*pair) for pair in pairs])
        middle, most = np.quantile(moved, (0.5, 0.95))
        changed = percent((mask != published).mean())
        row(f"`{card.network}`", name, f"{score:.4f}", changed, f"{middle:.1f}", f"{most:.1f}")
    return [
        Panel(f"{card.network}, {name}", coloured(mask[0, SHOWN, SHOWN], card.classes))
        for name, mask in masks.items()
    ]


def main() -> None:
    """Print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--train", type=Path, nargs=2, action="append", required=True)
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--side", type=int, default=512, help="of the windows, px")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--picture", type=Path, help="of a corner of the first window")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    material = imagery(chosen.train, chosen.side, TRAINED_ON)
    seen = imagery([(chosen.raster, chosen.labels)], chosen.side, chosen.windows)
    header("network", "upsampling", "mIoU", "labels changed", "edges moved, px: median", "95 %")
    legend = load(chosen.model[0])[1].classes
    panels = [
        Panel("image", pixels(seen.raw[0])[SHOWN, SHOWN]),
        Panel("labels", coloured(seen.truth[0, SHOWN, SHOWN], legend)),
    ]
    for path in chosen.model:
        # In the computing slot, as on the route: its freed memory is kept.
        panels += compute(partial(compare, path, material, seen)).result
    if chosen.picture:
        sheet(panels, chosen.picture, columns=4)


if __name__ == "__main__":
    main()
