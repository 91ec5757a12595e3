"""Weights between a network and a file: numpy arrays by key, their hash, the network they fit."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segtasks.errors import ModelError
from segtasks.networks.network_spec import Option
from segtasks.networks.registry import build

Weights = dict[str, NDArray[Any]]

COUNTER = "num_batches_tracked"
"""Training's own counter; not part of the function, so neither kept nor asked for."""


def weights_sha256(weights: Mapping[str, NDArray[Any]]) -> str:
    """Hash of all tensors' bytes, little-endian, in the order of their sorted keys."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(np.ascontiguousarray(weights[key]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def weights_of(module: nn.Module, dtype: str) -> Weights:
    """State dict as numpy arrays of one dtype.

    Raises:
        ModelError: a value is NaN, infinite or beyond the range of ``dtype``.
    """
    weights: Weights = {}
    for key, tensor in module.state_dict().items():
        if key.endswith(COUNTER):
            continue
        with np.errstate(over="ignore"):  # an overflow becomes inf and is refused by name
            weights[key] = tensor.detach().cpu().numpy().astype(dtype)
        if not np.isfinite(weights[key]).all():
            raise ModelError(
                f"weights {key!r} hold values that are not finite in {dtype}; train again with a "
                "lower learning rate, or store float32"
            )
    return weights


def skeleton(
    network: str, *, classes: int, bands: int, width: float, variant: Mapping[str, Option]
) -> nn.Module:
    """A network without memory for its weights: shapes only, nothing is initialised."""
    with torch.device("meta"):
        return build(network, classes=classes, bands=bands, width=width, **variant)


def check_fit(where: str, module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Every key of ``module`` must be there with its shape, and no other.

    Args:
        where: what the message begins with, a file's path.
        module: the network that needs the weights.
        shapes: what is offered, by key.

    Raises:
        ModelError: keys are missing, left over or of another shape.
    """
    expected = shapes_of(module)
    if missing := sorted(expected.keys() - shapes.keys()):
        raise ModelError(f"{where}: {listed(missing)} missing; is the card's network right?")
    if extra := sorted(shapes.keys() - expected.keys()):
        raise ModelError(f"{where}: {listed(extra)} left over; is the card's network right?")
    for key, shape in expected.items():
        if shapes[key] != shape:
            raise ModelError(
                f"{where}: {key} is {shapes[key]}, the network needs {shape}; are the card's "
                "classes, bands and width right?"
            )


def fill(module: nn.Module, weights: Weights) -> None:
    """Give a skeleton its weights, as float32."""
    state = {key: torch.from_numpy(array.astype(np.float32)) for key, array in weights.items()}
    counters = {
        key: torch.zeros((), dtype=torch.long) for key in module.state_dict().keys() - state
    }
    module.load_state_dict(state | counters, assign=True)


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's own weights, by key."""
    return {key: tuple(value.shape) for key, value in _wanted(module).items()}


def _wanted(module: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict without training's counters."""
    return {key: v for key, v in module.state_dict().items() if not key.endswith(COUNTER)}


def listed(keys: Sequence[str]) -> str:
    """The first key, and how many more."""
    more = f" and {len(keys) - 1} more keys" if len(keys) > 1 else ""
    return f"key {keys[0]!r}{more}"
