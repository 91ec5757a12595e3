"""Memory does not grow with the raster."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from tests.helpers.masks import PLACE

PROGRAM = """
import sys
from pathlib import Path
from segtasks.evaluation.scoring import count_pairs
from segtasks.evaluation.figures import figures
from segtasks.config.evaluation_job import EvaluationJob
from segtasks.evaluation.publish_scores import publish
mask, labels, to = sys.argv[1:]
legend = [{"id": i, "name": str(i), "color": "#123456"} for i in range(6)]
pair = {"mask": mask, "labels": labels, "before": labels}
made = count_pairs(EvaluationJob.model_validate({"pairs": [pair], "legend": legend, "to": to}))
publish(made, figures(made))
# Of this program alone; its ru_maxrss would start at what pytest had.
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""


def write(path: Path, side: int, seed: int) -> Path:
    rng, block = np.random.default_rng(seed), 1000
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": side, "width": side}
    place = {"crs": "EPSG:4326", "transform": PLACE, "tiled": True, "compress": "lzw"}
    with rasterio.open(path, "w", **profile, **place) as dataset:
        for row in range(0, side, block):
            for col in range(0, side, block):
                ids = rng.integers(0, 6, (block // 10, block // 10)).astype(np.uint8)
                whole = ids.repeat(10, 0).repeat(10, 1)
                dataset.write(whole, 1, window=Window(col, row, block, block))
    return path


def peak_mib(folder: Path, side: int) -> int:
    files = [write(folder / f"{name}{side}.tif", side, i) for i, name in enumerate("ml")]
    words = [sys.executable, "-c", PROGRAM, *map(str, files), str(folder / f"to{side}")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
def test_the_peak_is_the_same_for_sixteen_times_the_pixels(tmp_path: Path) -> None:
    small, large = peak_mib(tmp_path, 4000), peak_mib(tmp_path, 16000)
    sys.stdout.write(f"{small} MiB for 4000 x 4000 px, {large} MiB for 16000 x 16000\n")
    # Each of the larger files holds 240 MiB more; GDAL keeps 4 MiB of the bytes of each of three.
    assert large < small + 24
