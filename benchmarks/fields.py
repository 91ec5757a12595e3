"""How far a point looks: receptive field in theory, and where its gradient really comes from.

    python benchmarks/fields.py ortho.tif --model trained.safetensors --picture fields.png

Half-widths of the square around a point that holds 90, 95 and 99 % of the squared gradient of its
largest logit (Luo et al. 2016, arXiv:1701.04128), summed over windows of the raster. Networks
without a model file are narrow and untrained, their BatchNorms set on the raster. In windows of
768 px nothing beyond 384 px can be seen.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from field_picture import Panel, draw
from imagery import normalised, own_normalisation, untrained, windows
from tables import header, row
from torch import Tensor

from segtasks.networks import build, entry, names
from segtasks.networks.model_file import load
from segtasks.networks.receptive_field import (
    ReceptiveField,
    gradient_energy,
    half_width,
    receptive_field,
)

SHARES = (0.90, 0.95, 0.99)
NARROWEST = 1 / 1024
CLASSES = 6


class Case(NamedTuple):
    """A network, how it came about, and where its gradient lies (H, W)."""

    name: str
    state: str
    energy: Tensor


def field_of(name: str) -> ReceptiveField | None:
    """The field in theory; none of networks that see the whole image."""
    probe = build(name, classes=1, bands=1, width=NARROWEST)
    return receptive_field(probe, bands=1, lattice_px=entry(name).lattice_px)


def trained_cases(models: list[Path], raw: Tensor) -> Iterator[Case]:
    """The networks of model files."""
    for path in models:
        module, card = load(path)
        state = f"trained, width {card.width:.3g}"
        x = normalised(raw, card.normalisation)
        yield Case(card.network, state, gradient_energy(module, x))


def untrained_cases(chosen: list[str], raw: Tensor, width: float) -> Iterator[Case]:
    """Networks as they begin."""
    x = normalised(raw, own_normalisation(raw))
    for name in chosen:
        module = untrained(name, x[:2], classes=CLASSES, width=width)
        yield Case(name, f"untrained, width {width:.3g}", gradient_energy(module, x))


def show(case: Case) -> Panel:
    """Print a row; what the picture needs."""
    field = field_of(case.name)
    halves = [half_width(case.energy, share) for share in SHARES]
    size, halo = (field.size_px, field.halo_px) if field else ("whole", "none")
    row(f"`{case.name}`", case.state, size, halo, *halves)
    return Panel(case.name, case.energy.numpy(), halves[0], halves[-1])


def main() -> None:
    """Print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="trained model files")
    parser.add_argument("--networks", nargs="*", choices=names(), default=list(names()))
    parser.add_argument("--width", type=float, default=1 / 16, help="of the untrained ones")
    parser.add_argument("--side", type=int, default=768)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--picture", type=Path, help="PNG of where the gradients lie")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    raw = windows(chosen.raster, chosen.side, chosen.windows)
    header("network", "weights", "field", "exact halo", "90 %", "95 %", "99 %")
    panels = [show(case) for case in trained_cases(chosen.model, raw)]
    panels += [show(case) for case in untrained_cases(chosen.networks, raw, chosen.width)]
    if chosen.picture:
        draw(panels, chosen.picture)


if __name__ == "__main__":
    main()
