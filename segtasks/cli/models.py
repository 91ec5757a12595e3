"""Commands around models: model list, model show, model import."""

import json

import click

from segtasks.cli import model_options
from segtasks.cli.graphs import graph_lines
from segtasks.cli.legend_options import legend_of, with_legend
from segtasks.config.import_job import ImportJob
from segtasks.config.loading import validated
from segtasks.networks import pretrained
from segtasks.networks.card import Card
from segtasks.networks.card_file import card_of_model, read_card
from segtasks.planning.planner import local_model


@click.group()
def model() -> None:
    """Show model files, convert foreign weights, probe and export graphs."""


@model.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the cards as one JSON object.")
def list_(*, as_json: bool) -> None:
    """List the models that ship with the package; `run --model NAME` uses one."""
    cards = {name: read_card(pretrained.path(name)) for name in pretrained.names()}
    if as_json:
        click.echo(json.dumps({name: card.model_dump() for name, card in cards.items()}, indent=1))
    else:
        click.echo("\n\n".join("\n".join(_shelf_lines(*item)) for item in cards.items()))


def _shelf_lines(name: str, card: Card) -> list[str]:
    """Return what a user needs to choose a shipped model."""
    size = pretrained.path(name).stat().st_size / 1e6
    return [
        f"{name:<22} {', '.join(entry.name for entry in card.classes)}",
        f"{'':<22} {', '.join(card.bands)}, {_ground(card)}; {card.network}, {size:.1f} MB",
        f"{'':<22} {card.licence}",
    ]


def _ground(card: Card) -> str:
    side = card.ground_resolution_m
    return f"{side:g} m per px" if side else "unknown ground resolution"


@model.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the whole card as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Print the card of NAME: a model file, a graph or a shipped model."""
    card = card_of_model(local_model(name))
    click.echo(card.model_dump_json(indent=1) if as_json else "\n".join(_card_lines(card)))


@model.command("import")
@click.argument("weights")
@with_legend
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
@model_options.options(ImportJob, without=frozenset({"weights", "legend"}))
def import_(weights: str, *, as_json: bool, **given: object) -> None:
    """Convert foreign WEIGHTS to a model file: .pth, .safetensors, .npz, .caffemodel, .mat.

    The converted model takes the bands red, green, blue, for weights trained on BGR too.
    """
    from segtasks.training.import_weights import import_weights  # noqa: PLC0415 - torch, slow

    legend = {key: value for key, value in legend_of(given).items() if key == "legend"}
    values = model_options.nested(ImportJob, given) | legend | {"weights": weights}
    job = validated(ImportJob, values)
    card = import_weights(job)
    lines = [f"model      {job.to}", *_card_lines(card)]
    click.echo(card.model_dump_json(indent=1) if as_json else "\n".join(lines))


def _card_lines(card: Card) -> list[str]:
    return [
        f"network    {card.network}, {_variant(card)}",
        f"classes    {', '.join(f'{entry.id} {entry.name}' for entry in card.classes)}",
        f"bands      {', '.join(card.bands)} ({card.normalisation.dtype})",
        *(graph_lines(card) or _network_lines(card)),
        f"ground     {_ground(card)}",
        f"licence    {card.licence}",
        *[f"           {key}: {value}" for key, value in card.provenance.items()],
    ]


def _variant(card: Card) -> str:
    chosen = ", ".join(f"{key}={value}" for key, value in card.variant.items()) or "as published"
    return "a graph" if card.graph else f"width {card.width:g}, {chosen}"


def _network_lines(card: Card) -> list[str]:
    """Return the measured properties of a network of segtasks."""
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
