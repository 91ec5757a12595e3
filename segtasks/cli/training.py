"""Commands that make labels into a model: train, scene."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from segtasks import options
from segtasks.cli.tables import rows
from segtasks.job import read_job_file, validated
from segtasks.networks.card import COLORS
from segtasks.training.job import TrainJob

PAIR: dict[str, Any] = {"nargs": 2, "multiple": True, "metavar": "IMAGE LABELS"}


@click.command()
@click.option("--job", "job_file", metavar="FILE", help="YAML file with settings; options win.")
@click.option("--pair", "pairs", **PAIR, help="Paths or a glob; {parent}, {stem} are the image's.")
@click.option("--val", **PAIR, help="The same, to validate on.")
@click.option("--class", "classes", multiple=True, metavar="NAME[=#rrggbb]", help="By class id.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.options(TrainJob, without=frozenset({"sources", "validation", "legend"}))
def train(job_file: str | None, *, as_json: bool, **given: object) -> None:
    """Train a network on pairs of image and label rasters and write a model file."""
    from segtasks.progress import shown_training  # noqa: PLC0415 - torch, which --help need not
    from segtasks.training.loop import train as start  # noqa: PLC0415 - the same

    values = read_job_file(job_file) if job_file else {}
    values = options.merged(values, options.nested(TrainJob, given) | _lists(given))
    job = validated(TrainJob, values)
    with shown_training() as on_progress:
        result = start(job, on_progress)
    table = result.scores.table([entry.name for entry in job.legend])
    if as_json:
        click.echo(json.dumps({"model": result.out, "iteration": result.iteration, **table}))
    else:
        click.echo(f"model      {result.out} (best of iteration {result.iteration})")
        click.echo("\n".join(rows(table)))


def _lists(given: Mapping[str, Any]) -> dict[str, Any]:
    """What options of one value each cannot say."""
    values: dict[str, Any] = {}
    for key, name in (("sources", "pairs"), ("validation", "val")):
        if given[name]:
            values[key] = [{"image": image, "labels": labels} for image, labels in given[name]]
    if given["classes"]:
        values["legend"] = legend_of(given["classes"])
    return values


def legend_of(classes: Sequence[str]) -> list[dict[str, Any]]:
    """The legend of classes written as NAME or NAME=#rrggbb, by id."""
    return [_entry(i, text) for i, text in enumerate(classes)]


def _entry(class_id: int, text: str) -> dict[str, Any]:
    name, _, color = text.partition("=")
    return {"id": class_id, "name": name, "color": color or COLORS[class_id % len(COLORS)]}


@click.command()
@click.option("--to", required=True, metavar="FILE", help="GeoTIFF; labels go to FILE_label.tif.")
@click.option("--size", default=4096, show_default=True, type=click.IntRange(1), help="Side, px.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def scene(to: str, size: int, seed: int) -> None:
    """Make a procedural aerial scene with exact labels."""
    from segtasks.scenes import write_scene  # noqa: PLC0415 - see train

    labels = write_scene(to, seed, size, size)
    click.echo(f"image      {to}\nlabels     {labels}")
