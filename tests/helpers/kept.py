"""A labelled scene with a kept workspace, to tune on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segtasks.config.job import make_job
from segtasks.config.loading import validated
from segtasks.config.tuning_job import TuneJob
from segtasks.pipeline.run import segment

HEIGHT, WIDTH, SIDE = 120, 128, 64
SMALL = {"bi_xy_std": (2, 6), "pos_xy_std": (1, 3), "iterations": (2, 4)}


@dataclass(frozen=True)
class Kept:
    """An image, its labels and a kept workspace."""

    image: Path
    labels: Path
    workspace: Path

    def job(self, **settings: Any) -> TuneJob:  # noqa: ANN401 - whatever a job takes
        """Make a job with a few small windows that cover the scene."""
        pair = {"workspace": str(self.workspace), "labels": str(self.labels)}
        quick = {"pairs": [pair], "windows": 4, "window_px": SIDE, "trials": 6, "search": SMALL}
        return validated(TuneJob, quick | settings)

    def run(self, to: Path, **settings: Any) -> Path:  # noqa: ANN401 - whatever a job takes
        """Segment the image into a folder, and return the path of the mask."""
        fixed = {"source": str(self.image), "to": str(to), "compute": {"kind": "inline"}}
        segment(make_job(fixed | settings))
        return to / "mask.tif"
