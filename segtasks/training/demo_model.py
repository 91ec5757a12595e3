"""Train the demo model that ships with the package, on synthetic scenes.

The command is
``nice python -m segtasks.training.demo_model segtasks/networks/pretrained_files/demo.safetensors``.
"""

import sys
import tempfile
from pathlib import Path

import click

from segtasks.config.label_sources import PairSource
from segtasks.config.legend import ClassEntry
from segtasks.config.train_job import Augmentation, TrainJob
from segtasks.training.loop import Progress, Result, train
from segtasks.training.synthetic import LEGEND, write_scene
from segtasks.training.synthetic.write import PIXEL_M

TRAINING_SEEDS, VALIDATION_SEEDS = range(1, 13), range(101, 104)
"""Tests and the demo use scenes of other seeds."""
SCENE_PX = 2048
COMMAND = (
    "nice -n 10 python -m segtasks.training.demo_model "
    "segtasks/networks/pretrained_files/demo.safetensors "
    "(scenes of seeds 1-12, validation 101-103; 1 torch thread)"
)
NAMES = [name for name, _ in LEGEND]


def demo_job(folder: Path, to: Path) -> TrainJob:
    """Return the job that trains on the scenes which ``write_scenes`` wrote to ``folder``."""
    labels = "{parent}/{stem}_label.tif"
    return TrainJob(
        sources=(PairSource(image=f"{folder}/train_*.tif", labels=labels),),
        validation=(PairSource(image=f"{folder}/val_*.tif", labels=labels),),
        legend=tuple(ClassEntry(id=i, name=n, color=c) for i, (n, c) in enumerate(LEGEND)),
        to=str(to),
        network="fcn8s_lean",
        width=0.085,
        variant={"batch_norm": True, "dropout": 0.1},
        crop_px=256,
        batch=8,
        iterations=2000,
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=0.01,
        threads=1,
        precision="bfloat16",
        weights_dtype="float16",
        augmentation=Augmentation(brightness=0.2, contrast=0.2, colour=0.1),
        validate_every=200,
        ground_resolution_m=PIXEL_M,
        licence="Apache-2.0 (procedural imagery, made by segtasks.training.synthetic)",
        note=COMMAND,
    )


def write_scenes(folder: Path) -> None:
    """Write the training and validation scenes: 12 and 3 of 2048 x 2048 px."""
    for kind, seeds in (("train", TRAINING_SEEDS), ("val", VALIDATION_SEEDS)):
        for seed in seeds:
            write_scene(folder / f"{kind}_{seed:03d}.tif", seed, SCENE_PX, SCENE_PX)


def train_demo(out: Path) -> Result:
    """Make the scenes in a temporary folder and train on them."""
    with tempfile.TemporaryDirectory(prefix="segtasks-demo-") as name:
        write_scenes(Path(name))
        return train(demo_job(Path(name), out), _print_progress)


def _print_progress(progress: Progress) -> None:
    if progress.scores:
        figures = progress.scores.table(NAMES)
        click.echo(f"{progress.iteration}/{progress.iterations} {progress.loss:.3f} {figures}")


if __name__ == "__main__":
    click.echo(train_demo(Path(sys.argv[1])).card.model_dump_json(indent=2))
