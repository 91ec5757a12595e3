"""The command that judges a mask: evaluate."""

import json

import click

from segtasks.cli.tables import rows
from segtasks.errors import SourceError
from segtasks.storage import cogs


@click.command()
@click.argument("mask")
@click.argument("labels")
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="By id, if the mask has none."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def evaluate(mask: str, labels: str, classes: tuple[str, ...], *, as_json: bool) -> None:
    """Compare MASK with LABELS (255 is ignored): IoU per class, their mean, pixel accuracy."""
    from segtasks.training.evaluate import evaluate_rasters  # noqa: PLC0415 - torch, slow to import

    names = classes or _class_names(mask)
    table = evaluate_rasters(mask, labels, classes=len(names)).table(names)
    click.echo(json.dumps(table) if as_json else "\n".join(rows(table)))


def _class_names(mask: str) -> tuple[str, ...]:
    """Names by class id, from the tags that `run` writes."""
    text = cogs.read_tag(mask, cogs.CLASSES_TAG)
    if text is None:
        raise SourceError(f"{mask}: has no {cogs.CLASSES_TAG} tag; name the classes with --class")
    names: dict[str, str] = json.loads(text)
    return tuple(names[str(i)] for i in range(len(names)))
