"""Read the card fields that people state about a graph, from the file itself and its sidecar.

    net.onnx              metadata of the file: a card written by `export`, or the keys of Deepness
    net.onnx.card.json    the sidecar; its fields override those in the file

Needs no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from segtasks.config.legend import default_legend
from segtasks.errors import ModelError
from segtasks.networks.card import METADATA_KEY, Form
from segtasks.networks.graphs import deepness

SUFFIX = ".card.json"
Fields = dict[str, Any]

REQUIRED = {
    "classes": '"classes": ["ground", ...] or [{"id": 0, "name": "ground", "color": "#808080"}]',
    "bands": '"bands": ["red", "green", "blue"]',
    "normalisation": '"normalisation": {"mean": [0, 0, 0], "std": [255, 255, 255], "dtype": '
    '"uint8"}, x = (raw - mean) / std',
}
"""The fields that nothing but a statement can give, each with an example of its form."""


def sidecar_of(path: str | Path) -> Path:
    """Return the path of the sidecar of a local graph."""
    return Path(f"{path}{SUFFIX}")


def declared(path: str | Path, form: Form) -> Fields:
    """Return the card fields that the file and its sidecar state.

    Raises:
        ModelError: one of the two cannot be read.
    """
    return merged(_in_file(path, form), read_fields(sidecar_of(path)))


def merged(fields: Mapping[str, Any], over: Mapping[str, Any]) -> Fields:
    """Return the fields of both; where both state a field, ``over`` wins."""
    graph = {**fields.get("graph", {}), **over.get("graph", {})}
    return {**fields, **over} | ({"graph": graph} if graph else {})


def read_fields(path: Path) -> Fields:
    """Return the fields in a sidecar; none if the file does not exist.

    Raises:
        ModelError: the sidecar is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return parsed(path, text)


def parsed(where: str | Path, text: str) -> Fields:
    """Parse the text of a sidecar; class names become full legend entries.

    Raises:
        ModelError: the text is not a JSON object, or its field ``graph`` is not.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{where}: not JSON ({error}); correct it") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("graph", {}), dict | None):
        raise ModelError(f'{where}: not a card; write an object, {{"classes": [...], ...}}')
    classes = fields.get("classes")
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        fields["classes"] = default_legend(classes)
    return {key: value for key, value in fields.items() if value is not None}


def require(path: str | Path, fields: Mapping[str, Any]) -> None:
    """Check that every field of `REQUIRED` is stated.

    Raises:
        ModelError: names the missing fields, the file to write them to, and their form.
    """
    missing = [key for key in REQUIRED if key not in fields]
    if missing:
        forms = "; ".join(REQUIRED[key] for key in missing)
        raise ModelError(
            f"{path}: does not state its {' and '.join(missing)}; write {sidecar_of(path)} with "
            f"{forms}"
        )


def _in_file(path: str | Path, form: Form) -> Fields:
    """Return the card fields that the metadata of the graph file states."""
    bands = None
    if form == "onnx":
        from segtasks.networks.graphs.onnx_file import read_metadata  # noqa: PLC0415 - an extra

        metadata, bands = read_metadata(path)
    else:
        metadata = _extra_files(path)
    if METADATA_KEY in metadata:
        return parsed(path, metadata[METADATA_KEY])
    return deepness.fields_of(str(path), metadata, bands)


def _extra_files(path: str | Path) -> dict[str, str]:
    """Return the card in the folder ``extra`` of a TorchScript or torch.export archive."""
    with ZipFile(path) as archive:
        paths = {Path(name): name for name in archive.namelist()}
        wanted = {p.name: name for p, name in paths.items() if p.parent.name == "extra"}
        return {
            key: archive.read(name).decode("utf-8", "replace")
            for key, name in wanted.items()
            if key == METADATA_KEY
        }
