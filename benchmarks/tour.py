"""Every network of the registry in figures, as the tables of docs/networks.md; nothing is trained.

    python benchmarks/tour.py --classes 21

Parameters, multiply-adds and memory follow from shapes at the published width, receptive fields
from the narrowest form; papers are those that the file of an architecture names.
"""

import argparse
import re
from importlib import import_module

from tables import header, row

from segtasks.networks import build, entry, layouts, names
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.cost import forward_bytes_per_px, gmac, parameters
from segtasks.networks.importers.layouts import networks_of
from segtasks.networks.receptive_field import receptive_field
from segtasks.networks.weights import skeleton

SIDE_PX = 512
NARROWEST = 1 / 1024


def paper(name: str) -> str:
    """ArXiv numbers in the architecture's file."""
    text = import_module(entry(name).builder.split(":")[0]).__doc__ or ""
    found = list(dict.fromkeys(re.findall(r"arXiv:(\d+\.\d+)", text)))
    return ", ".join(found) or "none"


def options(name: str) -> str:
    """Options and their defaults."""
    found = entry(name).options
    return ", ".join(f"`{key}` {value}" for key, value in found.items()) or "none"


def origins(name: str) -> str:
    """Layouts of foreign weights that can become this network."""
    return ", ".join(found for found in layouts() if name in networks_of(found)) or "none"


def declarations() -> None:
    """What the registry declares."""
    header("network", "paper (arXiv)", "options", "weights from", "size", "border", "stitch")
    for name in names():
        found = entry(name)
        border = found.border.replace(" after normalisation", "")
        rest = (found.size_rule, border, found.stitch)
        row(f"`{name}`", paper(name), options(name), origins(name), *rest)


def figures(classes: int) -> None:
    """What follows from the networks themselves."""
    work = f"GMAC / {SIDE_PX}²"
    header("network", "parameters", work, "B / px", "stride", "lattice", "field", "exact halo")
    for name in names():
        found = entry(name)
        module = skeleton(name, classes=classes, bands=3, width=1.0, variant={}).eval()
        count = f"{parameters(module):,}"
        macs = gmac(module, bands=3, height=SIDE_PX, width=SIDE_PX)
        fold_batch_norm(module)
        probe = build(name, classes=1, bands=1, width=NARROWEST)
        field = receptive_field(probe, bands=1, lattice_px=found.lattice_px)
        seen = (field.size_px, field.halo_px) if field else ("whole", "none")
        memory = forward_bytes_per_px(module, bands=3)
        lattice = (found.output_stride, found.lattice_px)
        row(f"`{name}`", count, f"{macs:.1f}", memory, *lattice, *seen)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--classes", type=int, default=21)
    chosen = parser.parse_args()
    declarations()
    print()
    figures(chosen.classes)


if __name__ == "__main__":
    main()
