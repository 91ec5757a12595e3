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
@click.option("--card", "card_url", metavar="JSON", help="What is to be said about it; it wins.")
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
def probe(file: str, card_url: str | None, *, as_json: bool) -> None:
    """Run the graph FILE on noise and write what was found, with what is stated, beside it.

    FILE is TorchScript, torch.export or ONNX; FILE.card.json has what it cannot show. A plan that
    finds a whole card there starts at once.
    """
    path = local_model(file)
    form = form_of(path)
    if form is None:
        what = "no graph; a model file has its card inside" if path.exists() else "no such file"
        raise ModelError(f"{file}: {what}; give TorchScript, torch.export or ONNX")
    over = parsed(card_url, object_store.read_bytes(card_url).decode()) if card_url else {}
    card = probe_card(path, form, over)
    text = card.model_dump_json(indent=1)
    object_store.write_bytes(f"{file}{SUFFIX}", f"{text}\n".encode())
    lines = [f"card       {file}{SUFFIX}", *graph_lines(card)]
    click.echo(text if as_json else "\n".join(lines))


@click.command()
@click.argument("file")
@click.option("--to", required=True, metavar="FILE", help="X.onnx, X.pt2 or X.pt (TorchScript).")
@click.option("--patch-px", type=click.IntRange(1, 65536), help="The one side it shall take.")
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
def export(file: str, to: str, patch_px: int | None, *, as_json: bool) -> None:
    """Write the model FILE as a graph for other programs: raw pixels in, probabilities out.

    The card goes with it, in ONNX also as the QGIS plugin Deepness reads it. It takes images of
    any size unless --patch-px names one, as Deepness wants it.
    """
    from segtasks.networks.export import export as write  # noqa: PLC0415 - torch, slow to import
    from segtasks.networks.model_file import load  # noqa: PLC0415 - the same

    card = write(*load(local_model(file)), to, patch_px=patch_px)
    lines = [f"graph      {to}", *graph_lines(card)]
    click.echo(card.model_dump_json(indent=1) if as_json else "\n".join(lines))


def graph_lines(card: Card) -> list[str]:
    """How a graph is run, for people; nothing of a network of ours."""
    graph = card.graph
    if graph is None:
        return []
    sizes = f"multiples of {graph.multiple_px} px from {graph.least_px} px on"
    if graph.patch_px:
        sizes = f"{graph.patch_px} x {graph.patch_px} px and nothing else"
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
