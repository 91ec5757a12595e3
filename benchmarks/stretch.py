"""What pixels in other units cost a model of pictures: python benchmarks/stretch.py.

The validation images of docs/trained.md as they are, and as sensors would count them, 16 bits with
an infrared band, segmented by `segtasks batch` with the default CRF and judged. Run from the root
of the repository, with the imagery in ../shared/data.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

DATA = Path("../shared/data")
Values = NDArray[np.float64]
HAZE = np.array([300, 500, 900], np.float64)[:, None, None]
SENSORS: dict[str, Callable[[Values], Values] | None] = {
    "picture of 8 bits": None,
    "picture of 12 bits": lambda picture: 16 * picture,
    "light": lambda picture: 300 + 4000 * (picture / 255) ** 2.2,
    "light and haze, more in blue": lambda picture: HAZE + 4000 * (picture / 255) ** 2.2,
}
AUTO = ("--stretch", "auto")
RUNS = [
    ("picture of 8 bits", ()),
    ("picture of 12 bits", ("--stretch", "0,4080", "--gamma", "1")),
    ("picture of 12 bits", (*AUTO, "--gamma", "1")),
    ("light", (*AUTO, "--gamma", "1")),
    ("light", (*AUTO, "--gamma", "2.2")),
    ("light and haze, more in blue", (*AUTO, "--gamma", "1")),
    ("light and haze, more in blue", (*AUTO, "--gamma", "2.2")),
]


def pairs() -> dict[str, list[tuple[Path, Path]]]:
    """Images and labels by model."""
    rows = (DATA / "dubai/splits/val.txt").read_text().splitlines()
    dubai = [tuple(DATA / "dubai" / word for word in row.split()) for row in rows]
    mosaic = DATA / "fair_oam/philippines_a.tif", DATA / "fair_oam/philippines_a_label.tif"
    return {"landcover-dubai": [(row[0], row[1]) for row in dubai], "buildings-oam": [mosaic]}


def counted(image: Path, to: Path, sensor: Callable[[Values], Values]) -> None:
    """Write the picture (3, H, W) as a sensor's counts (4, H, W) of 16 bits."""
    with rasterio.open(image) as picture:
        profile = {"crs": picture.crs, "transform": picture.transform, "dtype": "uint16"}
        light = sensor(picture.read((1, 2, 3)).astype(np.float64))
        profile |= {"height": picture.height, "width": picture.width, "driver": "GTiff", "count": 4}
    with rasterio.open(to, "w", **profile) as counts:
        counts.write(np.round([*light, light.mean(0)]).astype(np.uint16))
        counts.descriptions = ("red", "green", "blue", "nir")


def command(*words: object) -> str:
    """What a command of segtasks prints."""
    line = [sys.executable, "-m", "segtasks", *map(str, words)]
    return subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout


def images_of(
    found: list[tuple[Path, Path]], folder: Path, sensor: Callable[[Values], Values] | None
) -> list[Path]:
    """Images as that sensor sees them, 0.tif and so on, with their labels in a folder beside."""
    (folder / "labels").mkdir(exist_ok=True)
    images = []
    for index, (image, labels) in enumerate(found):
        seen = folder / f"{index}{'.tif' if sensor else image.suffix}"
        seen.unlink(missing_ok=True)
        beside = folder / "labels" / f"{index}.tif"
        beside.unlink(missing_ok=True)
        beside.symlink_to(labels.resolve())
        if sensor:
            counted(image, seen, sensor)
        else:
            seen.symlink_to(image.resolve())
        images.append(seen)
    return images


def mean_iou(folder: Path, model: str, images: list[Path], options: tuple[str, ...]) -> float:
    """Of all masks as one."""
    listed = folder / "images.txt"
    listed.write_text("".join(f"{path}\n" for path in images))
    plain = ("--no-report", "--no-stac", "--no-quicklook", "--overwrite", "--fresh")
    command("batch", listed, "--model", model, "--to", folder / "out", *plain, *options)
    masks, labels = folder / "out/*/mask.tif", folder / "labels/{1}.tif"
    found: dict[str, Any] = json.loads(command("evaluate", masks, labels, "--json"))
    return float(found["mean_iou"])


def main() -> None:
    """One row per kind of pixels and options."""
    models = pairs()
    print(f"| pixels | options | {' | '.join(models)} |\n|---|---|{'---|' * len(models)}")
    for name, options in RUNS:
        scores = []
        for model, found in models.items():
            with tempfile.TemporaryDirectory() as folder:
                images = images_of(found, Path(folder), SENSORS[name])
                scores.append(f"{mean_iou(Path(folder), model, images, options):.3f}")
        print(f"| {name} | `{' '.join(options)}` | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
