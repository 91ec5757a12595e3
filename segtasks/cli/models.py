"""Commands around models: train, evaluate, scene, model show, model import."""

import json
from collections.abc import Mapping
from typing import Any

import click

from segtasks import options
from segtasks.cli.graphs import graph_lines
from segtasks.errors import SourceError
from segtasks.job import read_job_file, read_yaml, validated
from segtasks.networks.card import COLORS, Card
from segtasks.networks.card_file import read_card
from segtasks.networks.importers.job import ImportJob
from segtasks.plan import local_model
from segtasks.storage import cogs, objects
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
        click.echo("\n".join(_rows(table)))


def _lists(given: Mapping[str, Any]) -> dict[str, Any]:
    """What options of one value each cannot say."""
    values: dict[str, Any] = {}
    for key, name in (("sources", "pairs"), ("validation", "val")):
        if given[name]:
            values[key] = [{"image": image, "labels": labels} for image, labels in given[name]]
    if given["classes"]:
        values["legend"] = [_entry(i, text) for i, text in enumerate(given["classes"])]
    return values


def _entry(class_id: int, text: str) -> dict[str, Any]:
    name, _, color = text.partition("=")
    return {"id": class_id, "name": name, "color": color or COLORS[class_id % len(COLORS)]}


def _rows(table: dict[str, Any]) -> list[str]:
    return [
        f"{name:<24} {'-' if value is None else f'{value:.4f}'}" for name, value in table.items()
    ]


@click.command()
@click.argument("mask")
@click.argument("labels")
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="By id, if the mask has none."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def evaluate(mask: str, labels: str, classes: tuple[str, ...], *, as_json: bool) -> None:
    """Compare MASK with LABELS (255 is ignored): IoU per class, their mean, pixel accuracy."""
    from segtasks.training.evaluate import evaluate_rasters  # noqa: PLC0415 - see train

    names = classes or _class_names(mask)
    table = evaluate_rasters(mask, labels, classes=len(names)).table(names)
    click.echo(json.dumps(table) if as_json else "\n".join(_rows(table)))


def _class_names(mask: str) -> tuple[str, ...]:
    """Names by class id, from the tags that `run` writes."""
    text = cogs.read_tag(mask, cogs.CLASSES_TAG)
    if text is None:
        raise SourceError(f"{mask}: has no {cogs.CLASSES_TAG} tag; name the classes with --class")
    names: dict[str, str] = json.loads(text)
    return tuple(names[str(i)] for i in range(len(names)))


@click.command()
@click.option("--to", required=True, metavar="FILE", help="GeoTIFF; labels go to FILE_label.tif.")
@click.option("--size", default=4096, show_default=True, type=click.IntRange(1), help="Side, px.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def scene(to: str, size: int, seed: int) -> None:
    """Make a procedural aerial scene with exact labels."""
    from segtasks.scenes import write_scene  # noqa: PLC0415 - see train

    labels = write_scene(to, seed, size, size)
    click.echo(f"image      {to}\nlabels     {labels}")


@click.group()
def model() -> None:
    """Look at model files, and make them of other people's weights."""


@model.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the whole card as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Print the card of a model file or graph, or of a shipped model by NAME."""
    card = read_card(local_model(name))
    click.echo(card.model_dump_json(indent=1) if as_json else "\n".join(_card_lines(card)))


@model.command("import")
@click.argument("weights")
@click.option("--classes", "legend", metavar="FILE", help="YAML list of {id, name, color}.")
@options.options(ImportJob, without=frozenset({"weights", "legend"}))
def import_(weights: str, legend: str | None, **given: object) -> None:
    """Make a model file of WEIGHTS from elsewhere: .pth, .safetensors, .npz, .caffemodel, .mat.

    Bands come out as red, green, blue, whatever the order in training was.
    """
    from segtasks.networks.importers.product import import_model  # noqa: PLC0415 - see train

    values = options.nested(ImportJob, given) | {"weights": weights}
    if legend is not None:
        values["legend"] = read_yaml(legend)
    job = validated(ImportJob, values)
    card = import_model(job, objects.local_copy(weights))
    click.echo("\n".join([f"model      {job.to}", *_card_lines(card)]))


def _card_lines(card: Card) -> list[str]:
    return [
        f"network    {card.network}, {_variant(card)}",
        f"classes    {', '.join(f'{entry.id} {entry.name}' for entry in card.classes)}",
        f"bands      {', '.join(card.bands)} ({card.normalisation.dtype})",
        *(graph_lines(card) or _network_lines(card)),
        f"ground     {card.ground_resolution_m or 'unknown'} m per px",
        f"licence    {card.licence}",
        *[f"           {key}: {value}" for key, value in card.provenance.items()],
    ]


def _variant(card: Card) -> str:
    chosen = ", ".join(f"{key}={value}" for key, value in card.variant.items()) or "as published"
    return "a graph" if card.graph else f"width {card.width:g}, {chosen}"


def _network_lines(card: Card) -> list[str]:
    """What was measured on a network of ours."""
    exact = "none, an operator is global" if card.halo_px is None else f"{card.halo_px} px"
    return [
        (
            f"size       {card.parameters:,} parameters, {card.gmac_per_mpx:.1f} GMAC per Mpx, "
            f"{card.forward_bytes_per_px} bytes of activations per px"
        ),
        (
            f"field      {card.receptive_field_px or 'global'} px receptive, exact halo {exact}, "
            f"effective halo {card.effective_halo_px} px, seams hidden from "
            f"{card.seam_halo_px or 'unmeasured'} px, lattice {card.lattice_px} px"
        ),
    ]
