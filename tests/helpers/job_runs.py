"""Helpers of the flow tests: small scenes, narrow networks, runs in processes of their own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import rasterio
import torch
from rasterio.transform import from_origin

from segtasks.networks import ClassEntry, Normalisation, build, spec
from segtasks.networks.model_file import make_card, save

CLASSES = 4
COLORS = ("#000000", "#ff0000", "#00ff00", "#0000ff")


def write_photo(path: Path, height: int, width: int, *, nodata_rows: int = 0) -> Path:
    """A smooth random RGB image; the first rows are nodata (0)."""
    rng = np.random.default_rng(3)
    coarse = rng.random((3, height // 16 + 2, width // 16 + 2))
    fine = np.kron(coarse, np.ones((16, 16)))[:, :height, :width]
    image = 1 + 220 * fine + 30 * rng.random((3, height, width))
    image[:, :nodata_rows] = 0
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": height, "width": width}
    place = {"crs": "EPSG:32637", "transform": from_origin(5e5, 3e6, 0.3, 0.3), "nodata": 0}
    with rasterio.open(path, "w", tiled=True, **profile, **place) as dataset:
        dataset.write(image.astype("u1"))
    return path


def write_network(path: Path, name: str, *, width: float) -> Path:
    """A model file with random weights whose classes all occur."""
    torch.manual_seed(7)
    variant = {"batch_norm": True} if "batch_norm" in spec(name).options else {}
    network = build(name, classes=CLASSES, bands=3, width=width, **variant).eval()
    spread(network)
    card = make_card(
        network,
        network=name,
        width=width,
        variant=variant,
        classes=[ClassEntry(id=i, name=f"class {i}", color=c) for i, c in enumerate(COLORS)],
        bands=("red", "green", "blue"),
        normalisation=Normalisation(mean=(110, 110, 110), std=(60, 60, 60)),
        licence="CC0-1.0",
    )
    save(path, network, card)
    return path


def spread(network: torch.nn.Module) -> None:
    """Scale the last layers so that logits differ by ones, not by thousandths."""
    with torch.no_grad():
        for key, value in network.named_parameters():
            if key.startswith(("score", "fc8", "main.classifier")) and key.endswith("weight"):
                value.mul_(60)


def command(source: Path, to: Path, model: Path, *options: str) -> list[str]:
    """The command line of a run."""
    words = ["-m", "segtasks", "run", str(source), "--to", str(to), "--model", str(model)]
    return [sys.executable, *words, "--json", *options]


def run(source: Path, to: Path, model: Path, *options: str) -> dict[str, Any]:
    """Run to the end in a process of its own; the JSON it prints."""
    done = subprocess.run(
        command(source, to, model, *options), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def kill_after(seconds: float, words: list[str]) -> bool:
    """Start a run and SIGKILL its whole process tree; False when it ended before."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.wait()
        return True
    return False


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all that it started, at once."""
    family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    for member in family:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def sha(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def receipts(to: Path) -> dict[str, int]:
    """Receipts in the workspace: name and time of writing."""
    found = (to / ".workspace" / "receipts").glob("*/*/[0-9]*.json")
    return {str(path.relative_to(to)): path.stat().st_mtime_ns for path in found}


def read_mask(to: Path) -> npt.NDArray[np.uint8]:
    """The mask's pixels."""
    with rasterio.open(to / "mask.tif") as dataset:
        mask: npt.NDArray[np.uint8] = dataset.read(1)
        return mask


def wait_until(is_true: Any, seconds: float) -> None:  # noqa: ANN401 - any condition
    """Poll a condition."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
