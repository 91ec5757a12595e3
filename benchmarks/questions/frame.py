"""Why FCN pads its image by 100 px, and what the form without that frame saves.

    python benchmarks/questions/frame.py --width 0.25 --picture frame.png

Paddings are tried on every size from 1 to 2048 px, by the recursion of the sizes, which is checked
against the network first. Then FCN-8s gets the weights of the shipped lean model.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from imagery import coloured, displacements, labels_of, normalised, pixels
from numpy.typing import NDArray
from showing import Panel, header, percent, row, sheet
from torch import Tensor, nn
from torch.nn import functional

from segtasks.evaluation.metrics import Scores, confusion
from segtasks.networks import Card, build, pretrained
from segtasks.networks.analysis.forward_cost import forward_bytes_per_px, gmac
from segtasks.networks.architectures.fcn import FCN8s, FCN32s
from segtasks.networks.inference.runtime import prepare
from segtasks.networks.model_file import load
from segtasks.pipeline.compute_slot import compute
from segtasks.training.synthetic import scene_window

PADDINGS_PX = (1, 80, 81, 96, 97, 100)
LARGEST_PX = 2048
SIDES_PX = (256, 512, 1024, 2304)
FORMS = ("fcn8s", "fcn8s_lean")
SEEDS = (201, 202, 203, 204)
"""Of scenes that the shipped model was not trained on."""
SCENE_PX = 1024
SHOWN = slice(0, 256)


def units(size: int, padding: int) -> int:
    """Places of fc6's 7x7 window along an axis of pool5's map."""
    size += 2 * padding - 2
    for _ in range(5):
        size = -(-size // 2)
    return size - 6


def is_covered(size: int, padding: int) -> bool:
    """Whether the enlarged map holds the image: unit i is centred on pixel 32i + 112.5 - P."""
    count, crop = units(size, padding), padding - 81
    return count >= 1 and crop >= 0 and crop + size <= 32 * (count + 1)


def check_recursion() -> None:
    """It is the network's."""
    with torch.device("meta"):
        network = build("fcn32s", classes=1, width=1 / 64)
        assert isinstance(network, FCN32s)
        for size in (1, 31, 32, 33, 500, 2048):
            found = network.coarse_logits(torch.empty(1, 3, size, size)).shape[2]
            assert found == units(size, PADDINGS_PX[-1]), size


def paddings() -> None:
    """Which sizes each padding fails for."""
    header("padding, px", "crop, px", f"sizes of 1 … {LARGEST_PX} px not covered")
    for padding in PADDINGS_PX:
        sizes = range(1, LARGEST_PX + 1)
        failed = [size for size in sizes if not is_covered(size, padding)]
        shown = f"{len(failed)} ({failed[0]} … {failed[-1]})" if failed else "none"
        row(padding, padding - 81, shown)


def seconds(network: nn.Module, side: int, rounds: int) -> float:
    """Median of a forward pass as we run it."""
    ready, x, taken = prepare(network), torch.randn(1, 3, side, side), []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        ready(x)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def costs(width: float, rounds: int) -> None:
    """Multiply-adds at the published width, time at a narrow one."""
    print()
    header("side, px", "GMAC", "lean", "ratio", f"s, width {width:g}", "lean", "ratio")
    with torch.device("meta"):
        full = [build(name, classes=21) for name in FORMS]
    narrow = [build(name, classes=6, width=width, batch_norm=True) for name in FORMS]
    for side in SIDES_PX:
        work = [gmac(network, bands=3, height=side, width=side) for network in full]
        taken = [seconds(network, side, rounds) for network in narrow]
        macs = (f"{work[0]:.1f}", f"{work[1]:.1f}", f"{work[0] / work[1]:.2f}")
        row(side, *macs, f"{taken[0]:.3f}", f"{taken[1]:.3f}", f"{taken[0] / taken[1]:.2f}")
    memory = [forward_bytes_per_px(network, bands=3) for network in full]
    print(f"\nbytes per px at 512 px: {memory[0]}, lean {memory[1]}\n")


class Stretched(nn.Module):
    """FCN-8s whose padded map is resized to the image, not cropped, as some ports do."""

    def __init__(self, framed: FCN8s) -> None:
        super().__init__()
        self.framed = framed

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        coarse = self.framed.coarse_logits(x)
        return functional.interpolate(coarse, (x.shape[2], x.shape[3]), mode="bilinear")


def forms() -> tuple[dict[str, nn.Module], Card]:
    """The shipped model, its weights in the published form, and in a wrong one."""
    lean, card = load(pretrained.resolve("demo"))
    framed = build("fcn8s", classes=len(card.classes), width=card.width, batch_norm=True).eval()
    assert isinstance(framed, FCN8s)
    kernels = {k: v for k, v in framed.state_dict().items() if k.startswith("upscore")}
    framed.load_state_dict(lean.state_dict() | kernels)
    return {"lean": lean, "padded by 100": framed, "… and resized": Stretched(framed)}, card


def scenes() -> tuple[Tensor, NDArray[np.uint8]]:
    """Raw images (N, 3, H, W) and labels (N, H, W)."""
    found = [scene_window(seed, 0, 0, SCENE_PX, SCENE_PX) for seed in SEEDS]
    images, labels = (np.stack(part) for part in zip(*found, strict=True))
    return torch.from_numpy(images.astype(np.float32)), labels


def same_weights(picture: Path | None) -> None:
    """All forms with one model's weights: the lean one's units lie 3 px beside the framed one's."""
    networks, card = forms()
    raw, truth = scenes()
    x = normalised(raw, card.normalisation)
    masks = {name: labels_of(network, x) for name, network in networks.items()}
    lean = masks["lean"]
    header("form", "mIoU", "labels changed", "edges moved, px: median", "95 %")
    for name, mask in masks.items():
        score = Scores(confusion(mask, truth, len(card.classes))).mean_iou
        moved = np.concatenate([displacements(*pair) for pair in zip(mask, lean, strict=True)])
        middle, most = np.quantile(moved, (0.5, 0.95))
        row(name, f"{score:.4f}", percent((mask != lean).mean()), f"{middle:.1f}", f"{most:.1f}")
    if picture:
        maps = {"labels": truth} | masks
        shown = {name: coloured(m[0, SHOWN, SHOWN], card.classes) for name, m in maps.items()}
        shown = {"image": pixels(raw[0])[SHOWN, SHOWN]} | shown
        sheet([Panel(*item) for item in shown.items()], picture, columns=5)


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=float, default=0.25, help="of the timed networks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="of a corner of a synthetic scene")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    check_recursion()
    paddings()
    # In the computing slot, as on the route: its freed memory is kept.
    compute(lambda: costs(chosen.width, chosen.rounds))
    same_weights(chosen.picture)


if __name__ == "__main__":
    main()
