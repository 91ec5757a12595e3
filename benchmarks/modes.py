"""What inference modes buy and cost on labelled imagery: python benchmarks/modes.py --help.

    python benchmarks/modes.py --image ortho.tif --labels ortho_label.tif --window 0,0,2048,2048 \
        --model model.safetensors

Each row is a whole run of the command without a CRF, and the score of its mask. Prints a table for
docs/inference.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import rasterio
from rasterio.windows import Window

MODES: dict[str, tuple[str, ...]] = {
    "one forward": (),
    "left-right": ("--angles", "mirror"),
    "flips": ("--angles", "flips"),
    "d4": ("--angles", "d4"),
    "scales 1, 0.75, 0.5, max of logits": ("--scales", "1,0.75,0.5", "--fusion", "max_logits"),
    "scales 1, 0.75, 0.5": ("--scales", "1,0.75,0.5"),
    "scales 1.25, 1, 0.75": ("--scales", "1.25,1,0.75"),
    "scales 1.25, 1, 0.75 and d4": ("--scales", "1.25,1,0.75", "--angles", "d4"),
}
POOLED = {"averages over the raster": ("--pooling", "raster")}


def said(*words: object) -> dict[str, Any]:
    """What a command of segtasks answers in JSON."""
    command = [sys.executable, "-m", "segtasks", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def cut(source: Path, window: str | None, to: Path) -> Path:
    """The window ROW,COL,HEIGHT,WIDTH of a raster, or all of it."""
    if window is None:
        return source
    row, col, height, width = map(int, window.split(","))
    part = Window(col, row, width, height)
    with rasterio.open(source) as whole:
        place = {"height": height, "width": width, "transform": whole.window_transform(part)}
        with rasterio.open(to, "w", **(whole.profile | {"driver": "GTiff"} | place)) as dataset:
            dataset.write(whole.read(window=part))
    return to


def row(image: Path, labels: Path, model: str, to: Path, options: tuple[str, ...]) -> list[Any]:
    """Scores and costs of one mode."""
    words = (image, "--model", model, "--to", to, "--no-crf", "--fresh", "--overwrite", *options)
    plan, run = said("plan", *words), said("run", *words)
    scores = said("evaluate", run["urls"]["mask"], labels)
    return [scores["mean_iou"], scores["pixel_accuracy"], plan["forward_px_per_px"], run["seconds"]]


def main() -> None:
    """Run every mode in turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--window", metavar="ROW,COL,HEIGHT,WIDTH")
    parser.add_argument("--pooled", action="store_true", help="a PSPNet: averages over the raster")
    parser.add_argument("--only", nargs="*", choices=[*MODES, *POOLED], help="these modes alone")
    chosen = parser.parse_args()
    modes = POOLED | MODES if chosen.pooled else MODES
    print("| modes | mIoU | accuracy | px forwarded per px | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        image = cut(chosen.image, chosen.window, Path(folder, "image.tif"))
        labels = cut(chosen.labels, chosen.window, Path(folder, "labels.tif"))
        for name in chosen.only or modes:
            options = (MODES | POOLED)[name]
            found = row(image, labels, chosen.model, Path(folder, "out"), options)
            print(f"| {name} | " + " | ".join(f"{figure:g}" for figure in found) + " |", flush=True)


if __name__ == "__main__":
    main()
