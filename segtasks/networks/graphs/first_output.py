"""Choose one output of a graph: the first one; in a mapping, the one named ``out``."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def first_output(outputs: Any) -> Tensor:  # noqa: ANN401 - any output of a graph
    """Return the tensor that holds the class maps.

    Raises:
        RuntimeError: ``outputs`` holds no tensor.
    """
    found = outputs
    while not isinstance(found, Tensor):
        if isinstance(found, Mapping) and found:
            found = found.get("out", next(iter(found.values())))
        elif isinstance(found, list | tuple) and found:
            found = found[0]
        else:
            raise RuntimeError(f"returns {type(found).__name__}, not a tensor")
    return found
