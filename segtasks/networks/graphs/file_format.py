"""Detect the format of a graph by the content of the file, not by its name. Needs no torch.

    zip archive    with */constants.pkl and */code/     TorchScript
                   with */models/*.json                 torch.export
                   with */data.pkl only                 pickled weights, not a graph
    other file     protobuf with an IR version          ONNX
                   safetensors, or anything else        not a graph

The suffix counts only where the content is inconclusive.
"""

from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from segtasks.errors import ModelError
from segtasks.networks.card import Form

SUFFIXES = {".pt": "TorchScript", ".ts": "TorchScript", ".pt2": "torch.export", ".onnx": "ONNX"}
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_SAFETENSORS_BYTE = 8
"""Offset in a safetensors file at which the header begins, with a brace."""
_IR_VERSION, _PRODUCER_OR_GRAPH = b"\x08", (b"\x12", b":")
"""Protobuf tags of the first two fields of ONNX models."""


def form_of(path: str | Path) -> Form | None:
    """Return the format of a local graph; ``None`` if the file is not a graph or does not exist.

    Raises:
        ModelError: the file is a pickle of weights, or it is damaged and has the suffix of a graph.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            head = opened.read(_SAFETENSORS_BYTE + 1)
    except OSError:
        return None
    if head[_SAFETENSORS_BYTE:] == b"{":
        return None
    if head.startswith(_ZIP):
        return _form_of_zip(file)
    if head.startswith(_PICKLE) and file.suffix in {".pt", ".pth"}:
        raise _weights_alone(file)
    is_onnx = head[:1] == _IR_VERSION and head[2:3] in _PRODUCER_OR_GRAPH
    if file.suffix == ".onnx" or is_onnx:
        return "onnx"
    if file.suffix in SUFFIXES:
        raise damaged(file, "no zip archive")
    return None


def damaged(path: str | Path, reason: object) -> ModelError:
    """Return the error for a graph that cannot be read, with the library's reason in one line."""
    kind = SUFFIXES.get(Path(path).suffix, "graph")
    shown = " ".join(str(reason).split()) or type(reason).__name__
    return ModelError(f"{path}: not a whole {kind} file ({shown:.160}); copy it again")


def _form_of_zip(path: Path) -> Form | None:
    try:
        with ZipFile(path) as archive:
            files = archive.infolist()
    except BadZipFile as error:
        if path.suffix in SUFFIXES:
            raise damaged(path, error) from None
        return None
    # In a truncated program, zipfile finds the last archive that is nested in it.
    if min((file.header_offset for file in files), default=0):
        raise damaged(path, "its end is missing")
    names = [PurePosixPath(file.filename) for file in files]
    parents = {parent.name for name in names for parent in name.parents}
    if "code" in parents and any(name.name == "constants.pkl" for name in names):
        return "torchscript"
    if any(name.suffix == ".json" and name.parent.name == "models" for name in names):
        return "exported"
    if any(name.name == "data.pkl" for name in names):
        raise _weights_alone(path)
    if path.suffix in SUFFIXES:
        raise damaged(path, "neither TorchScript nor a torch.export program of torch 2.8 or later")
    return None


def _weights_alone(path: Path) -> ModelError:
    return ModelError(
        f"{path}: a pickle of weights, not a graph; make a model file of it with "
        "`segtasks model import`"
    )
