"""Of a graph with several outputs the first is the one; in a mapping, the one called ``out``."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def first_output(outputs: Any) -> Tensor:  # noqa: ANN401 - whatever a graph gives
    """The maps in ``outputs``.

    Raises:
        RuntimeError: there is no tensor in it.
    """
    found = outputs
    while not isinstance(found, Tensor):
        if isinstance(found, Mapping) and found:
            found = found.get("out", next(iter(found.values())))
        elif isinstance(found, list | tuple) and found:
            found = found[0]
        else:
            raise RuntimeError(f"gives {type(found).__name__}, no tensor")
    return found
