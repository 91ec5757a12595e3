"""What a network reaches on the data of docs/trained.md: python benchmarks/trained.py --help.

    python benchmarks/trained.py landcover-dubai --network segnet --width 0.12

Trains by `benchmarks/jobs/NAME.yaml`, segments the test images with and without the CRF, judges
both masks, and prints a row each. A model file that is there is not trained again, a killed
training goes on. Run from the root of the repository, with the imagery in ../shared/data.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from segtasks.networks import read_card

DATA = Path("../shared/data")
LABELS = {
    "landcover-dubai": ("*/images/image_part_*/mask.tif", "dubai/labels_index/{1}_part_{2}.png"),
    "buildings-oam": ("*/mask.tif", "fair_oam/{1}_label.tif"),
}
CRFS = {"no": ("--no-crf",), "default": ()}


def command(*words: object) -> str:
    """What a command of segtasks prints; its progress is seen."""
    line = [sys.executable, "-m", "segtasks", *map(str, words)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(line)} failed")
    return done.stdout


def test_images(name: str) -> list[Path]:
    """Of no training and no validation."""
    if name == "buildings-oam":
        names = ("kampala_b", "banepa_rural_b", "philippines_b")
        return [DATA / "fair_oam" / f"{each}.tif" for each in names]
    lines = (DATA / "dubai/splits/test.txt").read_text().splitlines()
    return [DATA / "dubai" / line.split()[0] for line in lines]


def train(chosen: argparse.Namespace, model: Path) -> float | None:
    """Write the model file; the minutes it took, none where it was there or was gone on with."""
    if model.exists():
        return None
    is_begun = Path(f"{model}.checkpoint").exists()
    names = ("network", "width", "variant", "precision", "iterations", "seed", "init")
    given = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    started = time.monotonic()
    command("train", "--job", f"benchmarks/jobs/{chosen.data}.yaml", "--to", model, *options)
    return None if is_begun else (time.monotonic() - started) / 60


def scores(chosen: argparse.Namespace, model: Path, crf: str) -> dict[str, Any]:
    """Of the test images' masks, all counted as one."""
    to = model.with_suffix(f".crf-{crf}")
    listed = model.with_suffix(".test.txt")
    listed.write_text("".join(f"{path.resolve()}\n" for path in test_images(chosen.data)))
    plain = ("--no-report", "--no-stac", "--no-quicklook", "--overwrite", "--fresh")
    command("batch", listed, "--model", model, "--to", to, *plain, *CRFS[crf])
    masks, labels = LABELS[chosen.data]
    found: dict[str, Any] = json.loads(
        command("evaluate", f"{to}/{masks}", DATA / labels, "--json")
    )
    return found


def row(first: list[str], found: dict[str, Any]) -> str:
    """As in docs/trained.md."""
    ious = [f"{entry['iou']:.3f}" for entry in found["classes"].values()]
    low, high = found["mean_iou_interval"]
    mean = f"{found['mean_iou']:.3f} ± {(high - low) / 2:.3f}"
    return f"| {' | '.join([*first, mean, *ious, format(found['mean_boundary_f'], '.3f')])} |"


def main() -> None:
    """One network; a row without and one with the CRF."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=LABELS)
    parser.add_argument("--network", default="fcn8s_lean")
    parser.add_argument("--width", type=float, default=0.12)
    parser.add_argument("--variant", default="{}", help="options of the network")
    parser.add_argument("--precision", default="bfloat16", help="float32 for dilated networks")
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", type=Path, help="weights to go on from, under another --name")
    parser.add_argument("--name", help="of the model file; default: DATA-NETWORK")
    parser.add_argument("--folder", type=Path, default=Path("trained"))
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    name = chosen.name or f"{chosen.data}-{chosen.network}"
    model = chosen.folder / f"{name}.safetensors"
    minutes = train(chosen, model)
    parameters = f"{read_card(model).parameters:,}"
    for crf in CRFS:
        found = scores(chosen, model, crf)
        print(row([f"`{chosen.network}`", f"{chosen.width:g}", parameters, crf], found), flush=True)
    print(f"minutes of training: {'not timed' if minutes is None else round(minutes)}")


if __name__ == "__main__":
    main()
