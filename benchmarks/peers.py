"""Side by side with other tools: the same image, the same weights, whole processes, in turn.

    python benchmarks/peers.py --image IMAGE --model FILE --rounds 2 \
        --peer "NAME=python their.py --image {image} --model {model} --out {out}"

The peers get the model as TorchScript that takes raw pixels and gives probabilities; a command must
leave a GeoTIFF mask at ``{out}``. With ``--exact`` the labels of every mask are compared with one
forward over the whole image, which must fit into memory.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from segtasks.networks.export import export
from segtasks.networks.inference.runtime import forward_patches, prepare
from segtasks.networks.model_file import load

OURS = (
    "{python} -m segtasks run {image} --model {file} --to {out}.d --no-crf --scales 1 --fresh "
    "--overwrite --no-confidence --no-stac --no-quicklook --no-report"
)
"""The mask alone, of pixels as they are: as the peers."""
Mask = npt.NDArray[Any]


def seconds_of(command: str, out: Path) -> float:
    """Wall time of a whole process; its words are shown when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())}
    begun = time.perf_counter()
    done = subprocess.run(
        shlex.split(command), env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{out.stem} failed:\n{done.stderr[-2000:]}")
    return seconds


def whole(image: Path, model: Path) -> Mask:
    """Labels (H, W) of one forward over the whole image."""
    module, card = load(model)
    with rasterio.open(image) as dataset:
        raw = dataset.read(list(range(1, 1 + len(card.bands)))).astype(np.float32)
    raw -= np.array(card.normalisation.mean, np.float32)[:, None, None]
    raw /= np.array(card.normalisation.std, np.float32)[:, None, None]
    labels: Mask = forward_patches(prepare(module), raw[None])[0].argmax(axis=0)
    return labels


def unlike(found: Path, expected: Mask) -> float:
    """Share of labels that differ, in percent."""
    with rasterio.open(found) as dataset:
        return float(100 * (dataset.read(1) != expected).mean())


def commands(chosen: argparse.Namespace, folder: Path) -> dict[str, tuple[str, Path]]:
    """Command and mask of every tool, ours first."""
    module, card = load(chosen.model)
    script = folder / "model.pt"
    export(module, card, str(script))
    words = {"image": chosen.image, "file": chosen.model, "model": script, "python": sys.executable}
    named = {"segtasks": OURS} | dict(peer.split("=", 1) for peer in chosen.peer)
    made = {}
    for name, template in named.items():
        out = folder / f"{name}.tif"
        mask = Path(f"{out}.d/mask.tif") if name == "segtasks" else out
        made[name] = (template.format(**words, out=out), mask)
    return made


def main() -> None:
    """Run every tool in turn, ``rounds`` times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir(), "segtasks-peers")
    )
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    tools = commands(chosen, chosen.folder)
    taken: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(chosen.rounds):
        for name, (command, mask) in tools.items():
            taken[name].append(seconds_of(command, mask))
            print(f"{name:<16} {taken[name][-1]:8.1f} s", flush=True)
    expected = whole(chosen.image, chosen.model) if chosen.exact else None
    ours = statistics.median(taken["segtasks"])
    print("\ntool              median s   times ours   labels unlike the whole image")
    for name, (_, mask) in tools.items():
        median = statistics.median(taken[name])
        share = "-" if expected is None else f"{unlike(mask, expected):.3f} %"
        print(f"{name:<16} {median:9.1f} {median / ours:12.2f}   {share}")


if __name__ == "__main__":
    main()
