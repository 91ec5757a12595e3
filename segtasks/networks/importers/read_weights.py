"""Read files of foreign weights as tensors, without running code that they contain."""

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
"""Classes of the numbers that trainers store with the weights, such as epochs and scores."""
_REFUSED_CLASS = re.compile(
    r"(?:unsupported GLOBAL|Unsupported global: GLOBAL|Unsupported class) (\S+)"
)
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, UnicodeDecodeError)


def read_weights(path: str | Path) -> Mapping[str, Any]:
    """Read a checkpoint: .pth, .pt, .pth.tar, .safetensors, .npz, .caffemodel or .mat.

    Raises:
        ModelError: the file is missing, damaged or of an unknown kind, or needs code to be run.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"{path}: no such weights file")
    if file.suffix not in _READERS:
        raise ModelError(
            f"{path}: weights files end in {', '.join(_READERS)}, not {file.suffix or 'nothing'}; "
            "rename it to its format"
        )
    loaded = _READERS[file.suffix](file)
    if not isinstance(loaded, Mapping):
        kind = type(loaded).__name__
        raise ModelError(f"{path}: holds a {kind}, not a state dict; save module.state_dict()")
    return loaded


def _torch(path: Path) -> Any:  # noqa: ANN401 - any saved object
    """Read a pickle of tensors and plain values; other objects are refused."""
    try:
        with torch.serialization.safe_globals(_SCALARS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TorchScript, which is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from None
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _refused(path: Path, error: Exception) -> ModelError:
    """Return the error for a pickle that names other classes, or for a damaged file."""
    name = _REFUSED_CLASS.search(str(error))
    if name is None:
        return _damaged(path, error)
    return ModelError(
        f"{path}: would run code ({name[1]}), but only tensors are read; if you trust "
        "the file, load it and save its state_dict() only"
    )


def _damaged(path: Path, error: Exception) -> ModelError:
    """Return the error for a damaged file, with the first line of the library's reason."""
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
