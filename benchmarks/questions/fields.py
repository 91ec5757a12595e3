"""How far a point looks: receptive field in theory, and where its gradient really comes from.

    python benchmarks/questions/fields.py ortho.tif --model trained.safetensors --picture f.jpg

Half-widths of the square around a point that holds 90, 95 and 99 % of the squared gradient of its
largest logit (Luo et al. 2016, arXiv:1701.04128), summed over windows of the raster. Networks
without a model file are narrow and untrained, their BatchNorms set on the raster. In windows of
768 px nothing beyond 384 px can be seen.
"""

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from imagery import normalised, windows
from matplotlib import colormaps
from narrow import field_of, untrained
from numpy.typing import NDArray
from showing import Panel, header, row, sheet
from torch import Tensor

from segtasks.networks import Normalisation, names
from segtasks.networks.analysis.receptive_field import gradient_energy, half_width
from segtasks.networks.model_file import load
from segtasks.pipeline.compute_slot import compute

SHARES = (0.90, 0.95, 0.99)
CLASSES = 6
BIN_PX = 4
DECADES = 6
"""In the picture: from the brightest bin down to 1e-6 of it."""


class Case(NamedTuple):
    """A network, how it came about, and where its gradient lies (H, W)."""

    name: str
    state: str
    energy: Tensor


def trained_cases(models: list[Path], raw: Tensor) -> Iterator[Case]:
    """The networks of model files."""
    for path in models:
        module, card = load(path)
        x = normalised(raw, card.normalisation)
        yield Case(card.network, "trained", gradient_energy(module, x))


def untrained_cases(chosen: list[str], raw: Tensor, width: float) -> Iterator[Case]:
    """Networks as they begin."""
    mean, std = (tuple(part.tolist()) for part in (raw.mean((0, 2, 3)), raw.std((0, 2, 3))))
    x = normalised(raw, Normalisation(mean=mean, std=std))
    for name in chosen:
        module = untrained(name, x, classes=CLASSES, width=width)
        yield Case(name, "untrained", gradient_energy(module, x))


def show(case: Case) -> Panel:
    """Print a row; what the picture needs."""
    field = field_of(case.name)
    halves = [half_width(case.energy, share) for share in SHARES]
    size, halo = (field.size_px, field.halo_px) if field else ("global", "none")
    row(f"`{case.name}`", case.state, size, halo, *halves)
    squares = tuple(half / BIN_PX for half in (halves[0], halves[-1]))
    title = case.name if case.state == "untrained" else f"{case.name}, {case.state}"
    return Panel(title, picture_of(case.energy.numpy()), squares)


def picture_of(energy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Sums over squares of `BIN_PX`, in colours by their logarithm: (h, w, 3)."""
    height, width = (size // BIN_PX for size in energy.shape)
    whole = energy[: height * BIN_PX, : width * BIN_PX]
    binned = whole.reshape(height, BIN_PX, width, BIN_PX).sum(axis=(1, 3))
    shade = np.log10(np.maximum(binned / binned.max(), 10.0**-DECADES)) / DECADES + 1
    colours: NDArray[np.uint8] = colormaps["inferno"](shade, bytes=True)[..., :3]
    return colours


def main() -> None:
    """Print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="trained model files")
    parser.add_argument("--networks", nargs="*", choices=names(), default=list(names()))
    parser.add_argument("--width", type=float, default=1 / 16, help="of the untrained ones")
    parser.add_argument("--side", type=int, default=768, help="of the windows, px")
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--picture", type=Path, help="of where the gradients lie")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    raw = windows(chosen.raster, chosen.side, chosen.windows)
    header("network", "weights", "field, px", "exact halo, px", "90 %", "95 %", "99 %")
    cases = chain(
        trained_cases(chosen.model, raw), untrained_cases(chosen.networks, raw, chosen.width)
    )
    # In the computing slot, as on the route: its freed memory is kept.
    panels = compute(lambda: [show(case) for case in cases]).result
    if chosen.picture:
        sheet(panels, chosen.picture, columns=7, dpi=80)


if __name__ == "__main__":
    main()
