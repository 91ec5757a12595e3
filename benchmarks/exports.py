"""Which network goes into which form of graph: python benchmarks/exports.py [NAME ...].

Prints a table: yes, or why not, for images of any size and, where that fails, for one side. What is
written is run and compared with the network by the exporter itself. Narrow networks: what an
exporter can do does not depend on the number of channels.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from segtasks.errors import ModelError
from segtasks.networks import Card, ClassEntry, Normalisation, build, names
from segtasks.networks.export import export
from segtasks.networks.model_file import make_card

WIDTH, SIDE_PX = 1 / 32, 256
SUFFIXES = (".pt", ".pt2", ".onnx")


def card_of(name: str) -> tuple[torch.nn.Module, Card]:
    """Return a narrow network with random weights, and its card."""
    torch.manual_seed(0)
    module = build(name, classes=2, width=WIDTH).eval()
    card = make_card(
        module,
        network=name,
        classes=[ClassEntry(id=i, name=f"{i}", color="#000000") for i in range(2)],
        bands=("red", "green", "blue"),
        normalisation=Normalisation(mean=(110.0,) * 3, std=(60.0,) * 3, dtype="uint8"),
        licence="none",
        width=WIDTH,
    )
    return module, card


def tried(name: str, suffix: str, folder: Path) -> str:
    """Return yes, the one side that works, or no with the reason on stderr."""
    module, card = card_of(name)
    for answer, side in (("yes", None), (f"at {SIDE_PX} px", SIDE_PX)):
        try:
            export(module, card, str(folder / f"{name}{suffix}"), patch_px=side)
        except ModelError as error:
            print(f"{name}{suffix}: {error}", file=sys.stderr)
        else:
            return answer
    return "no"


def main() -> None:
    """Print a row as soon as it is known."""
    torch.set_num_threads(1)
    print(f"| network | {' | '.join(SUFFIXES)} | s |\n|---|---|---|---|---|", flush=True)
    for name in sys.argv[1:] or names():
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            answers = [tried(name, suffix, Path(folder)) for suffix in SUFFIXES]
        seconds = time.perf_counter() - begun
        print(f"| {name} | {' | '.join(answers)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
