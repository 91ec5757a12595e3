"""Read the card of a model, from a safetensors header or from the files of a graph.

    read_card        reads; refuses the incomplete card of a graph
    card_of_model    reads; where the card of a graph is incomplete, runs the graph to complete it

No weights are read, and torch is not imported.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from segtasks.errors import ModelError
from segtasks.networks.card import METADATA_KEY, Card, checked_card
from segtasks.networks.graphs.file_format import form_of
from segtasks.networks.graphs.graph_card import complete_graph_card, read_graph_card

FORMAT = 1


def read_card(path: str | Path) -> Card:
    """Read the card of a local model file, or of a local graph and its sidecar; run nothing.

    Raises:
        ModelError: the file is missing, truncated or not safetensors, or its card is missing, of
            another format version, invalid or, for a graph, incomplete (see `read_graph_card`).
    """
    form = form_of(path)
    return _model_file_card(path) if form is None else read_graph_card(path, form)


def card_of_model(path: str | Path) -> Card:
    """Read the card of a local model as `read_card`, and complete it if it is that of a graph.

    A graph whose card is incomplete is run for up to minutes, once per user: see
    `complete_graph_card`.

    Raises:
        ModelError: as `read_card`, or the graph cannot be run.
    """
    form = form_of(path)
    return _model_file_card(path) if form is None else complete_graph_card(path, form)


def _model_file_card(path: str | Path) -> Card:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"{path}: no segtasks card in its metadata; import it with `segtasks model import`"
        )
    return _parse(path, metadata[METADATA_KEY])


def unreadable(path: str | Path, error: Exception) -> ModelError:
    """Return the error for a file that is missing, truncated or not safetensors."""
    if not Path(path).exists():
        return ModelError(f"{path}: no such model file")
    reason = str(error).splitlines()[0]
    return ModelError(f"{path}: not a whole safetensors file ({reason}); copy it again")


def _parse(path: str | Path, text: str) -> Card:
    """Parse the JSON of a card; the format version is checked first."""
    try:
        fields = json.loads(text)
        version = fields.get("format")
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path}: its card is not a JSON object; write the file again") from error
    if version != FORMAT:
        raise ModelError(
            f"{path}: card format {version}, this segtasks reads {FORMAT}; upgrade segtasks or "
            "write the file with this version"
        )
    return checked_card(path, fields)
