"""Read MatConvNet's parameters from a .mat file: a struct array ``params`` of name and value.

That is how a DagNN rests (``net = dagnn.saveobj()``), at the top of the file or under ``net``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segtasks.errors import ModelError

_HEADER = {"__header__", "__version__", "__globals__"}
"""What scipy adds to a file's variables; of a file that ends behind its header nothing else."""


def read_matfile(path: Path) -> dict[str, Tensor]:
    """Parameters by name, in MATLAB's order of axes; it drops axes of length 1 at the end.

    Raises:
        ModelError: scipy is not installed, or the file holds no parameters that it can read.
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
            f"{path}: MATLAB 7.3 file; write it anew in MATLAB with save(file, 'params', '-v7')"
        ) from None
    except (MatReadError, ValueError, TypeError, IndexError, OSError, EOFError) as error:
        raise _cut_short(path, error) from None
    if content.keys() <= _HEADER:
        raise _cut_short(path, "nothing behind its header")
    return {
        str(p["name"].item()): torch.from_numpy(np.array(p["value"], np.float32, order="C"))
        for p in _params(path, content)
    }


def _cut_short(path: Path, reason: object) -> ModelError:
    """One line for a file that ends too early."""
    return ModelError(f"{path}: not a whole .mat file ({reason}); copy it again")


def _params(path: Path, content: dict[str, Any]) -> Any:  # noqa: ANN401 - a struct array
    """The struct array of parameters."""
    holder: Any = content
    if "net" in content:
        holder = content["net"][0, 0]
    names = holder.keys() if isinstance(holder, dict) else holder.dtype.names
    if "params" not in (names or ()):
        raise ModelError(
            f"{path}: no params in it; save a DagNN's params (struct array of name and value)"
        )
    return holder["params"].ravel()
