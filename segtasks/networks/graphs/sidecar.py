"""What a person has to say about a graph: MODEL.card.json beside it. Needs no torch.

    net.onnx   net.onnx.card.json

What the file itself carries (a card that `export` put inside, Deepness's keys) counts too; what
stands in the sidecar wins.
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

ASKED = {
    "classes": '"classes": ["ground", ...] or [{"id": 0, "name": "ground", "color": "#808080"}]',
    "bands": '"bands": ["red", "green", "blue"]',
    "normalisation": '"normalisation": {"mean": [0, 0, 0], "std": [255, 255, 255], "dtype": '
    '"uint8"}, x = (raw - mean) / std',
}
"""What no graph can show, and how it is written."""


def sidecar_of(path: str | Path) -> Path:
    """Where the sidecar of a local graph is looked for."""
    return Path(f"{path}{SUFFIX}")


def declared(path: str | Path, form: Form) -> Fields:
    """Fields of a card that the file and its sidecar state.

    Raises:
        ModelError: one of them cannot be read.
    """
    return merged(_carried(path, form), read_fields(sidecar_of(path)))


def merged(fields: Mapping[str, Any], over: Mapping[str, Any]) -> Fields:
    """Both, where they differ the second."""
    graph = {**fields.get("graph", {}), **over.get("graph", {})}
    return {**fields, **over} | ({"graph": graph} if graph else {})


def read_fields(path: Path) -> Fields:
    """The fields in a sidecar; none when it is not there.

    Raises:
        ModelError: it is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return parsed(path, text)


def parsed(where: str | Path, text: str) -> Fields:
    """The fields in a sidecar's text, classes written out.

    Raises:
        ModelError: it is no JSON object, or its graph is none.
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
    """Ask for what is missing, by name.

    Raises:
        ModelError: which keys, in which file, in what form.
    """
    missing = [key for key in ASKED if key not in fields]
    if missing:
        forms = "; ".join(ASKED[key] for key in missing)
        raise ModelError(
            f"{path}: does not say its {' and '.join(missing)}; write {sidecar_of(path)} with "
            f"{forms}"
        )


def _carried(path: str | Path, form: Form) -> Fields:
    """What the file has inside."""
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
    """Texts that TorchScript and torch.export keep in a folder ``extra`` of the archive."""
    with ZipFile(path) as archive:
        paths = {Path(name): name for name in archive.namelist()}
        wanted = {p.name: name for p, name in paths.items() if p.parent.name == "extra"}
        return {
            key: archive.read(name).decode("utf-8", "replace")
            for key, name in wanted.items()
            if key == METADATA_KEY
        }
