"""The models that ship with the package, by name."""

from pathlib import Path

FOLDER = Path(__file__).parent / "pretrained_files"


def names() -> tuple[str, ...]:
    """Return the names of the shipped models."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.safetensors")))


def path(name: str) -> Path:
    """Return the file of a shipped model."""
    return FOLDER / f"{name}.safetensors"


def resolve(model: str) -> str:
    """Return the file of a shipped model; a path or URL is returned unchanged."""
    return str(path(model)) if model in names() else model
