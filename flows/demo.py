"""The demo: a scene nobody has seen, segmented by the shipped model, with figures and a picture.

python -m flows.demo FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from flows.route import Result, segment
from segtasks import labels
from segtasks.job import make_job
from segtasks.outputs import quicklook
from segtasks.plan import Plan, make_plan
from segtasks.progress import shown_progress
from segtasks.scenes import write_scene
from segtasks.stages.write import legend
from segtasks.storage import cogs, rasters, workspace
from segtasks.training.labels import class_raster
from segtasks.training.metrics import Scores, confusion

SEED, SCENE_PX, PICTURE_PX = 2026, 4096, 1024


def demo(folder: Path) -> None:
    """Make the scene, run the route on a local Dask cluster, print what came out and where."""
    scene = folder / "scene.tif"
    truth = scene.with_name("scene_label.tif")
    folder.mkdir(parents=True, exist_ok=True)
    if not truth.exists():
        click.echo(f"making a scene of {SCENE_PX} x {SCENE_PX} px", err=True)
        write_scene(scene, SEED, SCENE_PX, SCENE_PX)
    settings = {"keep_workspace": True, "overwrite": True, "fresh": True}
    job = make_job({"source": str(scene), "to": str(folder / "result"), **settings})
    with shown_progress() as on_progress:
        result = segment(job, on_progress)
    plan = make_plan(job)
    before, after = _scores(plan, str(truth))
    picture = folder / "quicklook.png"
    picture.write_bytes(_picture(plan, str(truth)))
    workspace.clear(job.workspace_url)
    click.echo("\n".join(_report(result, before, after, picture)))


def _scores(plan: Plan, truth_url: str) -> tuple[Scores, Scores]:
    """Scores of the network's own labels and of the mask."""
    classes, url = len(plan.card.classes), plan.job.workspace_url
    counts: list[Any] = [0, 0]
    truth_raster = class_raster(truth_url)
    for tile in plan.tiles.tiles():
        core = plan.tiles.core(tile)
        truth = rasters.read(truth_raster, (1,), core)[0][0]
        probabilities = workspace.read(url, "probabilities", core).astype(np.float32)
        guesses = (labels.most_likely(probabilities), workspace.read(url, "mask", core))
        for index, guess in enumerate(guesses):
            counts[index] = counts[index] + confusion(guess, truth, classes, labels.NODATA)
    return Scores(counts[0]), Scores(counts[1])


def _picture(plan: Plan, truth_url: str) -> bytes:
    """Image, labels and mask side by side."""
    shape = (PICTURE_PX, PICTURE_PX)
    image = cogs.read_small(plan.job.source, shape, bands=plan.bands)
    truth = cogs.read_small(truth_url, shape)[0]
    mask = cogs.read_small(f"{plan.job.to}/mask.tif", shape)[0]
    return quicklook.draw(image, truth, legend(plan).colormap, mask)


def _report(result: Result, before: Scores, after: Scores, picture: Path) -> list[str]:
    return [
        *result.lines(),
        f"mIoU       {before.mean_iou:.3f} before the CRF, {after.mean_iou:.3f} after it",
        f"picture    {picture} (image, labels, mask)",
    ]


if __name__ == "__main__":
    demo(Path(sys.argv[1]))
