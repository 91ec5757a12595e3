"""The table of docs/networks.md: every network of the registry in figures; nothing is trained.

    python benchmarks/questions/every_network.py

Parameters, multiply-adds and memory follow from shapes at the published width, receptive fields
from the narrowest form; the paper is the one that the architecture's own text names.
"""

import argparse
import re
from importlib import import_module

from narrow import field_of
from showing import header, row

from segtasks.networks import NetworkSpec, names, spec
from segtasks.networks.analysis.forward_cost import forward_bytes_per_px, gmac_per_mpx, parameters
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.weights import skeleton

BANDS = 3


def paper(found: NetworkSpec) -> str:
    """The first arXiv number that the file or the class names."""
    module, builder = found.builder.split(":")
    file = import_module(module)
    number = re.search(r"arXiv:(\d+\.\d+)", f"{file.__doc__} {getattr(file, builder).__doc__}")
    return f"[{number[1]}](https://arxiv.org/abs/{number[1]})" if number else "none"


def costs(name: str, classes: int) -> tuple[str, str, int]:
    """Parameters, GMAC per Mpx, bytes per px."""
    module = skeleton(name, classes=classes, bands=BANDS, width=1.0, variant={}).eval()
    count, work = parameters(module), gmac_per_mpx(module, bands=BANDS)
    fold_batch_norm(module)
    return f"{count:,}", f"{work:,.0f}", forward_bytes_per_px(module, bands=BANDS)


def sight(name: str) -> tuple[str, str]:
    """Receptive field and exact halo."""
    if field := field_of(name):
        return f"{field.size_px:,}", f"{field.halo_px:,}"
    pooled = spec(name).pooled_halo_px
    return "global", f"none; {pooled} pooled" if pooled else "none"


def variant(found: NetworkSpec) -> str:
    """Options and their defaults."""
    return ", ".join(f"{key} {value}" for key, value in found.options.items()) or "none"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--classes", type=int, default=21)
    chosen = parser.parse_args()
    measured = ("parameters", "GMAC / Mpx", "B / px")
    placed = ("stride", "lattice", "field, px", "exact halo, px")
    header("network", "paper", *measured, *placed, "variant")
    for name in names():
        found = spec(name)
        grid = (found.output_stride, found.lattice_px)
        figures = (*costs(name, chosen.classes), *grid, *sight(name))
        row(f"`{name}`", paper(found), *figures, variant(found))


if __name__ == "__main__":
    main()
