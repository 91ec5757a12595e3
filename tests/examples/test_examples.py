"""The examples run as they are, in an empty folder."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import numpy as np
import pytest
import rasterio
from nbclient import NotebookClient

from segtasks.training.synthetic import LEGEND
from tests.helpers.paths import ROOT

EXAMPLES = ROOT / "examples"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
TESTED = {"segment_raster.py", "segment_batch.py", "train_network.py", "segment.ipynb"}


def printed(name: str, folder: Path) -> str:
    """What an example prints; nothing may go to standard error."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def check_mask(path: Path, side: int, *, least_classes: int = 2) -> None:
    """A mask of the scene's size, whose pixels are all of a class."""
    with rasterio.open(path) as mask:
        assert mask.shape == (side, side)
        found = np.unique(mask.read(1))
    assert set(found) <= set(range(len(LEGEND)))
    assert len(found) >= least_classes


def test_every_example_is_tested_and_short() -> None:
    found = [path for path in EXAMPLES.iterdir() if path.is_file()]
    assert {path.name for path in found} == TESTED
    for path in found:
        if path.suffix == ".py":
            assert len(path.read_text().splitlines()) < 40


def test_a_raster(tmp_path: Path) -> None:
    shown = printed("segment_raster.py", tmp_path)
    assert "1024 x 1024 px, EPSG:32637" in shown
    check_mask(tmp_path / "result" / "mask.tif", 1024, least_classes=5)
    assert "was done already" in printed("segment_raster.py", tmp_path)


def test_a_batch(tmp_path: Path) -> None:
    shown = printed("segment_batch.py", tmp_path)
    for seed in (1, 2, 3):
        assert f"done masks/scene_{seed}/mask.tif" in shown
        check_mask(tmp_path / "masks" / f"scene_{seed}" / "mask.tif", 512)
    mean = float(shown.split("mean IoU ")[1].split()[0])
    assert mean > 0.7  # the demo model was trained on such scenes
    assert (tmp_path / "evaluation" / "evaluation.html").is_file()


def test_training(tmp_path: Path) -> None:
    shown = printed("train_network.py", tmp_path)
    assert float(shown.split("validation: ")[1].split()[0]) > 0.1
    assert (tmp_path / "own.safetensors").is_file()
    check_mask(tmp_path / "result" / "mask.tif", 768)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nbformat.NotebookNode]:
    """The notebook after it was run, and its folder."""
    folder = tmp_path_factory.mktemp("notebook")
    made = nbformat.read(EXAMPLES / "segment.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(made, resources={"metadata": {"path": str(folder)}}, timeout=300)
    client.execute(env=ENVIRONMENT)
    return folder, made


def outputs(made: nbformat.NotebookNode, cell: str) -> Sequence[nbformat.NotebookNode]:
    """What a cell shows, by its id."""
    found: Sequence[nbformat.NotebookNode] = next(
        each.outputs for each in made.cells if each.id == cell
    )
    return found


def test_the_notebook_is_kept_without_outputs() -> None:
    kept = nbformat.read(EXAMPLES / "segment.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_the_notebook_segments_with_workers(
    notebook: tuple[Path, nbformat.NotebookNode],
) -> None:
    folder, made = notebook
    check_mask(folder / "result" / "mask.tif", 1024, least_classes=5)
    (shown,) = outputs(made, "job")  # the result alone: no traceback, no warning
    lines = shown.data["text/plain"].splitlines()
    assert lines[0] == "mask       result/mask.tif"
    assert any(line.startswith("tiles      ingest 16 of 16, predict 16 of 16") for line in lines)


def test_the_notebook_shows_the_mask(notebook: tuple[Path, nbformat.NotebookNode]) -> None:
    (shown,) = outputs(notebook[1], "picture")
    assert "image/png" in shown.data
