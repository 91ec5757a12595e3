"""The demo: the shipped model segments a new synthetic scene, with scores and a picture.

Run it with ``python -m segtasks.cli.demo FOLDER``.
"""

from pathlib import Path

import click

from segtasks.cli.progress import shown_progress
from segtasks.config.evaluation_job import EvaluationJob, MaskPair
from segtasks.config.job import Job, make_job
from segtasks.evaluation.evaluate import evaluate
from segtasks.evaluation.figures import Figures
from segtasks.outputs import quicklook
from segtasks.outputs.publication import class_band
from segtasks.pipeline.run import Result, segment
from segtasks.pipeline.workspace_setup import clear_workspace
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from segtasks.storage import cog
from segtasks.training.synthetic import write_scene

SEED, SCENE_PX, PICTURE_PX = 2026, 4096, 1024


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def demo(folder: Path) -> None:
    """Make a scene in FOLDER, segment it on a local Dask cluster, and print scores and files."""
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
    found = _judged(job, truth, folder / "evaluation")
    (folder / "quicklook.png").write_bytes(_picture(plan, str(truth)))
    clear_workspace(job.workspace_url)
    click.echo("\n".join(_report(result, found, folder)))


def _judged(job: Job, truth: Path, to: Path) -> Figures:
    """Evaluate the mask and the labels before the CRF, and write the page of the evaluation."""
    kept = {"labels": str(truth), "probabilities": job.workspace_url}
    pair = MaskPair(mask=f"{job.to}/mask.tif", **kept)
    return evaluate(EvaluationJob(pairs=(pair,), to=str(to), overwrite=True))


def _picture(plan: Plan, truth_url: str) -> bytes:
    """Return a PNG of image, labels and mask side by side."""
    shape = (PICTURE_PX, PICTURE_PX)
    image = cog.read_small(plan.job.source, shape, bands=plan.bands)
    truth = cog.read_small(truth_url, shape)[0]
    mask = cog.read_small(f"{plan.job.to}/mask.tif", shape)[0]
    return quicklook.draw(image, truth, class_band(plan).colormap, mask)


def _report(result: Result, found: Figures, folder: Path) -> list[str]:
    before, after = found["before"]["mean_iou"], found["mean_iou"]
    return [
        *result.lines(),
        f"mIoU       {before:.3f} before the CRF, {after:.3f} after it",
        f"picture    {folder}/quicklook.png (image, labels, mask)",
        f"page       {folder}/evaluation/evaluation.html",
    ]


if __name__ == "__main__":
    demo()
