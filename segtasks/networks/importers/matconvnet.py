"""Read MatConvNet's parameters from a .mat file: a struct array ``params`` of name and value.

This is how a DagNN is saved (``net = dagnn.saveobj()``), at the top of the file or under ``net``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segtasks.errors import ModelError

_HEADER = {"__header__", "__version__", "__globals__"}
"""Keys that scipy adds to the variables; a file cut off behind its header has only these."""


def read_matfile(path: Path) -> dict[str, Tensor]:
    """Return parameters by name, in MATLAB's order of axes, without its trailing axes of length 1.

    Raises:
        ModelError: scipy is not installed, or the file has no parameters that scipy can read.
    """
    try:
        from scipy.io import loadmat  # noqa: PLC0415 - an extra, for .mat only
        from scipy.io.matlab import MatReadError  # noqa: PLC0415 - the same
    except ImportError:
        raise ModelError(
            f"{path}: reading .mat needs scipy; pip install 'segtasks[matconvnet]'"
        ) from None
    try:
        content = loadmat(path)
    except NotImplementedError:
        raise ModelError(
            f"{path}: MATLAB 7.3 file; save it again in MATLAB with save(file, 'params', '-v7')"
        ) from None
    except (MatReadError, ValueError, TypeError, IndexError, OSError, EOFError) as error:
        raise _cut_short(path, error) from None
    if content.keys() <= _HEADER:
        raise _cut_short(path, "it ends behind its header")
    return {
        str(p["name"].item()): torch.from_numpy(np.array(p["value"], np.float32, order="C"))
        for p in _params(path, content)
    }


def _cut_short(path: Path, reason: object) -> ModelError:
    """Return the error for a truncated file."""
    return ModelError(f"{path}: not a whole .mat file ({reason}); copy it again")


def _params(path: Path, content: dict[str, Any]) -> Any:  # noqa: ANN401 - a struct array
    """Return the struct array of parameters."""
    holder: Any = content
    if "net" in content:
        holder = content["net"][0, 0]
    names = holder.keys() if isinstance(holder, dict) else holder.dtype.names
    if "params" not in (names or ()):
        raise ModelError(
            f"{path}: has no params; save a DagNN's params (struct array of name and value)"
        )
    return holder["params"].ravel()
