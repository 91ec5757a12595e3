"""Read a file of foreign weights as tensors, and run nothing that is in it."""

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from segtasks.errors import ModelError
from segtasks.networks.importers.caffemodel import read_caffemodel
from segtasks.networks.importers.matconvnet import read_matfile

_SCALAR: Any = np.float64(0).__reduce__()[0]
_SCALARS: list[Any] = [
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(name)) for name in ("float32", "float64", "int64")),
]
"""Best scores and epochs that trainers keep beside the weights: numbers, no code."""
_WANTS = re.compile(r"(?:unsupported GLOBAL|Unsupported global: GLOBAL|Unsupported class) (\S+)")
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, UnicodeDecodeError)


def read_weights(path: str | Path) -> Mapping[str, Any]:
    """What a checkpoint holds: .pth, .pt, .pth.tar, .safetensors, .npz, .caffemodel or .mat.

    Raises:
        ModelError: the file is missing, damaged, wants code to be run, or is of no known kind.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"{path}: no such weights file")
    if file.suffix not in _READERS:
        raise ModelError(
            f"{path}: weights files end in {', '.join(_READERS)}, not {file.suffix or 'nothing'}; "
            "rename it to what it is"
        )
    loaded = _READERS[file.suffix](file)
    if not isinstance(loaded, Mapping):
        kind = type(loaded).__name__
        raise ModelError(f"{path}: holds a {kind}, no state dict; save module.state_dict()")
    return loaded


def _torch(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    """A pickle of tensors and plain values; anything else in it is refused, not run."""
    try:
        with torch.serialization.safe_globals(_SCALARS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript, which is refused right after
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from None
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _refused(path: Path, error: Exception) -> ModelError:
    """What the pickle wanted to run, or that it is no pickle."""
    wanted = _WANTS.search(str(error))
    if wanted is None:
        return _damaged(path, error)
    return ModelError(
        f"{path}: wants to run code ({wanted[1]}); only tensors are read: save its "
        "state_dict() alone where you trust the file"
    )


def _damaged(path: Path, error: Exception) -> ModelError:
    """One line, whatever the library says in many."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(f"{path}: not a whole {path.suffix} file ({reason:.120}); copy it again")


def _safetensors(path: Path) -> Mapping[str, Any]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from None


def _npz(path: Path) -> Mapping[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except (*_DAMAGED, BadZipFile, TypeError) as error:
        raise _damaged(path, error) from None


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".pth": _torch,
    ".pt": _torch,
    ".tar": _torch,
    ".safetensors": _safetensors,
    ".npz": _npz,
    ".caffemodel": read_caffemodel,
    ".mat": read_matfile,
}
