"""A tiny scene on disk and a job that learns it in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from segtasks.networks.card import ClassEntry
from segtasks.scenes import LEGEND, write_scene
from segtasks.training.job import PairSource, TrainJob

Jobs = Callable[..., TrainJob]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.tif"
    write_scene(path, 53, 96, 128)  # five classes
    return path


@pytest.fixture
def jobs(scene: Path, tmp_path: Path) -> Jobs:
    """Makes jobs on the tiny scene, with changes."""
    pair = PairSource(image=str(scene), labels="{parent}/{stem}_label.tif")

    def make(**changes: Any) -> TrainJob:  # noqa: ANN401
        settings: dict[str, Any] = {
            "sources": (pair,),
            "validation": (pair,),
            "legend": [ClassEntry(id=i, name=n, color=c) for i, (n, c) in enumerate(LEGEND)],
            "out": str(tmp_path / "model.safetensors"),
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
