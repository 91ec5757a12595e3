"""A tiny scene on disk, and a job that trains on it in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window as RasterioWindow

from segtasks.config.label_sources import PairSource
from segtasks.config.legend import ClassEntry
from segtasks.config.train_job import TrainJob
from segtasks.training.synthetic import LEGEND, write_scene

Jobs = Callable[..., TrainJob]
FIELD = 5


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Write a scene with five classes of its own and the sixth as a field in a corner."""
    path = tmp_path / "scene.tif"
    labels = write_scene(path, 53, 96, 128)
    field = RasterioWindow(0, 0, 16, 16)
    for name, values in ((path, (250, 230, 40)), (labels, (FIELD,))):
        with rasterio.open(name, "r+") as dataset:
            dataset.write(
                np.tile(np.array(values, np.uint8)[:, None, None], (16, 16)), window=field
            )
    return path


@pytest.fixture
def jobs(scene: Path, tmp_path: Path) -> Jobs:
    """Return a function that makes jobs on the tiny scene with changed settings."""
    pair = PairSource(image=str(scene), labels="{parent}/{stem}_label.tif")

    def make(**changes: Any) -> TrainJob:  # noqa: ANN401
        settings: dict[str, Any] = {
            "sources": (pair,),
            "validation": (pair,),
            "legend": [ClassEntry(id=i, name=n, color=c) for i, (n, c) in enumerate(LEGEND)],
            "to": str(tmp_path / "model.safetensors"),
            "network": "linear",
            "width": 1.0,
            "variant": {},
            "crop_px": 32,
            "batch": 2,
            "iterations": 3,
            "learning_rate": 0.1,
        }
        return TrainJob(**(settings | changes))

    return make
