"""Commands around foreign graphs: model probe, model export."""

import click

from segtasks.errors import ModelError
from segtasks.networks.card import Card
from segtasks.networks.graphs.file_format import form_of
from segtasks.networks.graphs.graph_card import probe_card
from segtasks.networks.graphs.sidecar import SUFFIX, parsed
from segtasks.planning.planner import local_model
from segtasks.storage import object_store


@click.command()
@click.argument("file")
@click.option(
    "--card",
    "card_url",
    metavar="JSON",
    help="JSON file with card fields; they override those of FILE.card.json and the probe.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
def probe(file: str, card_url: str | None, *, as_json: bool) -> None:
    """Probe the graph FILE by running it on noise, and write its card to FILE.card.json.

    FILE is TorchScript, torch.export or ONNX. An existing FILE.card.json states what the graph
    itself does not show, e.g. class names. With a complete card, jobs need not probe the graph.
    """
    path = local_model(file)
    form = form_of(path)
    if form is None:
        what = "not a graph; a model file contains its card" if path.exists() else "no such file"
        raise ModelError(f"{file}: {what}; give TorchScript, torch.export or ONNX")
    over = parsed(card_url, object_store.read_bytes(card_url).decode()) if card_url else {}
    card = probe_card(path, form, over)
    text = card.model_dump_json(indent=1)
    object_store.write_bytes(f"{file}{SUFFIX}", f"{text}\n".encode())
    lines = [f"card       {file}{SUFFIX}", *graph_lines(card)]
    click.echo(text if as_json else "\n".join(lines))


@click.command()
@click.argument("file")
@click.option(
    "--to",
    required=True,
    metavar="FILE",
    help="Graph to write: X.onnx, X.pt2 or X.pt (TorchScript).",
)
@click.option(
    "--patch-px",
    type=click.IntRange(1, 65536),
    help="Fixed input size in pixels; default: any size.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
def export(file: str, to: str, patch_px: int | None, *, as_json: bool) -> None:
    """Export the model FILE as a graph for other programs: raw pixels in, probabilities out.

    The graph contains the card; ONNX files also have the metadata of the QGIS plugin Deepness. The
    input size is free unless --patch-px fixes it, which Deepness needs.
    """
    from segtasks.networks.export import export as write  # noqa: PLC0415 - torch, slow to import
    from segtasks.networks.model_file import load  # noqa: PLC0415 - the same

    card = write(*load(local_model(file)), to, patch_px=patch_px)
    lines = [f"graph      {to}", *graph_lines(card)]
    click.echo(card.model_dump_json(indent=1) if as_json else "\n".join(lines))


def graph_lines(card: Card) -> list[str]:
    """Return how a graph is run as lines of text; none for a network of segtasks."""
    graph = card.graph
    if graph is None:
        return []
    sizes = f"multiples of {graph.multiple_px} px from {graph.least_px} px on"
    if graph.patch_px:
        sizes = f"{graph.patch_px} x {graph.patch_px} px only"
    elif graph.multiple_px == 1:
        sizes = f"any from {graph.least_px} px on"
    together = "one image at a time" if graph.one_by_one else "batches"
    return [
        f"runs as    {graph.form}, gives {graph.gives}",
        f"takes      {sizes}; {together}",
        (
            f"lattice    {card.lattice_px} px, output stride {card.output_stride}, effective halo "
            f"{card.effective_halo_px} px, {card.forward_bytes_per_px} bytes per px"
        ),
    ]
