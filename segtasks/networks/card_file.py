"""Read the card of a model: of ours the safetensors header, of a graph what lies beside it.

No weights are read, and no torch is needed.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from segtasks.errors import ModelError
from segtasks.networks.card import METADATA_KEY, Card, checked_card
from segtasks.networks.graphs.file_format import form_of
from segtasks.networks.graphs.graph_card import read_graph_card

FORMAT = 1


def read_card(path: str | Path) -> Card:
    """The card of a local model: a model file, or a graph with its sidecar beside it.

    Raises:
        ModelError: the file is missing, truncated, not safetensors, has no card, a card of
            another format version, or a card that does not hold what it must; of a graph, see
            `read_graph_card`.
    """
    form = form_of(path)
    return _model_file_card(path) if form is None else read_graph_card(path, form)


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
    """One line for a file that is missing, truncated or no safetensors at all."""
    if not Path(path).exists():
        return ModelError(f"{path}: no such model file")
    reason = str(error).splitlines()[0]
    return ModelError(f"{path}: not a whole safetensors file ({reason}); copy it again")


def _parse(path: str | Path, text: str) -> Card:
    """Card from its JSON, the format version looked at first."""
    try:
        fields = json.loads(text)
        version = fields.get("format")
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path}: its card is not a JSON object; write the file anew") from error
    if version != FORMAT:
        raise ModelError(
            f"{path}: card format {version}, this segtasks reads {FORMAT}; upgrade segtasks or "
            "write the file with this version"
        )
    return checked_card(path, fields)
