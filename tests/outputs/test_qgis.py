"""QGIS itself shows the mask with its legend and colours, at once and without a style file."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from segtasks.config.job import make_job
from segtasks.networks.card_file import read_card
from segtasks.pipeline.run import segment
from tests.helpers import job_runs
from tests.helpers.paths import ROOT

PYTHON = "/usr/bin/python3"  # QGIS's Python is the system's
OFFSCREEN = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}


def has_qgis() -> bool:
    words = [PYTHON, "-c", "import qgis.core"]
    return (
        Path(PYTHON).exists()
        and not subprocess.run(words, check=False, capture_output=True).returncode
    )


pytestmark = pytest.mark.skipif(not has_qgis(), reason="QGIS is not installed (python3-qgis)")


def look(mask: Path, picture: Path) -> dict[str, Any]:
    script = ROOT / "tests" / "helpers" / "qgis_look.py"
    words = [PYTHON, str(script), str(mask), str(picture)]
    seen = subprocess.check_output(words, env=OFFSCREEN, text=True, timeout=120)
    found: dict[str, Any] = json.loads(seen.splitlines()[-1])
    return found


def test_a_mask_has_its_legend_and_colours(tmp_path: Path) -> None:
    photo = job_runs.write_photo(tmp_path / "photo.tif", 200, 330, nodata_rows=40)
    model = job_runs.write_network(tmp_path / "m.safetensors", "fcn8s_lean", width=0.05)
    paths = {"source": str(photo), "model": str(model), "to": str(tmp_path / "out")}
    segment(make_job({**paths, "crf": None, "compute": {"kind": "inline"}}))
    seen = look(tmp_path / "out" / "mask.tif", tmp_path / "seen.png")
    classes = read_card(model).classes
    assert seen["renderer"] == "paletted"
    wanted = {str(float(entry.id)): [entry.name, entry.color.lower()] for entry in classes}
    assert seen["legend"] == wanted
    with rasterio.open(tmp_path / "out" / "mask.tif") as dataset:
        mask, colormap = dataset.read(1), dataset.colormap(1)
    table = np.array([colormap[value][:3] for value in range(256)], np.uint8)
    table[255] = 255  # what is behind nodata
    picture = np.asarray(Image.open(tmp_path / "seen.png").convert("RGB"))
    np.testing.assert_array_equal(picture, table[mask])
