"""Commands around training: train, and scene, which makes labelled images."""

import json
from collections.abc import Mapping
from typing import Any

import click

from segtasks.cli import model_options
from segtasks.cli.legend_options import legend_of, with_legend
from segtasks.cli.tables import rows
from segtasks.config.loading import read_job_file, validated
from segtasks.config.train_job import TrainJob
from segtasks.storage.manifests import splits_of

PAIR: dict[str, Any] = {"nargs": 2, "multiple": True, "metavar": "IMAGE LABELS"}
FILES: dict[str, Any] = {"multiple": True, "metavar": "FILE"}
NAMES = "Paths, URLs or globs; {parent} and {stem} in LABELS are replaced by the image's."


@click.command()
@click.option(
    "--job", "job_file", metavar="FILE", help="YAML file with settings; options override them."
)
@click.option("--pair", "pairs", **PAIR, help=f"Image and labels to train on. {NAMES}")
@click.option("--val", **PAIR, help=f"Image and labels to validate on. {NAMES}")
@click.option(
    "--manifest",
    "manifests",
    **FILES,
    help="File that lists pairs to train on; those of its split val are used for validation.",
)
@click.option("--val-manifest", "val_manifests", **FILES, help="File that lists validation pairs.")
@click.option(
    "--root",
    metavar="FOLDER",
    help="Folder that relative names in manifests start from. Default: that of the manifest.",
)
@with_legend
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@model_options.options(TrainJob, without=frozenset({"sources", "validation", "legend"}))
def train(job_file: str | None, *, as_json: bool, **given: object) -> None:
    """Train a network on pairs of image and label rasters and write a model file."""
    from segtasks.cli.progress import shown_training  # noqa: PLC0415 - torch, slow to import
    from segtasks.training.loop import train as start  # noqa: PLC0415 - the same

    values = read_job_file(job_file) if job_file else {}
    for given_values in (legend_of(given), _sources(given), model_options.nested(TrainJob, given)):
        values = model_options.merged(TrainJob, values, given_values)
    job = validated(TrainJob, values)
    with shown_training() as (on_progress, on_line):
        result = start(job, on_progress, on_line)
    table = result.scores.table([entry.name for entry in job.legend])
    if as_json:
        facts = {"model": result.model, "iteration": result.iteration, "curves": result.curves}
        click.echo(json.dumps(facts | table))
    else:
        click.echo(f"model      {result.model} (best of iteration {result.iteration})")
        click.echo(f"curves     {', '.join(result.curves)}")
        click.echo("\n".join(rows(table)))


def _sources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sources for training and validation that are given."""
    values: dict[str, list[dict[str, Any]]] = {
        key: [{"image": image, "labels": labels} for image, labels in given[name]]
        for key, name in (("sources", "pairs"), ("validation", "val"))
    }
    for url in given["manifests"]:
        splits = splits_of(url)
        values["sources"].append(_manifest(url, given["root"], "train" if splits else None))
        if "val" in splits:
            values["validation"].append(_manifest(url, given["root"], "val"))
    for url in given["val_manifests"]:
        split = "val" if splits_of(url) else None
        values["validation"].append(_manifest(url, given["root"], split))
    return {key: found for key, found in values.items() if found}


def _manifest(url: str, root: str | None, split: str | None) -> dict[str, Any]:
    return {"manifest": url, "root": root, "split": split}


@click.command()
@click.option(
    "--to", required=True, metavar="FILE", help="GeoTIFF to write; the labels go to STEM_label.tif."
)
@click.option(
    "--size", default=4096, show_default=True, type=click.IntRange(1), help="Side in pixels."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Random seed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def scene(to: str, size: int, seed: int, *, as_json: bool) -> None:
    """Make a procedural aerial scene with exact labels."""
    from segtasks.training.synthetic import write_scene  # noqa: PLC0415 - see train

    labels = write_scene(to, seed, size, size)
    paths = {"image": to, "labels": str(labels)}
    lines = [f"{name:<10} {path}" for name, path in paths.items()]
    click.echo(json.dumps(paths) if as_json else "\n".join(lines))
