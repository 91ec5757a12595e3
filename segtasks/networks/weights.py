"""Convert between networks and weights: numpy arrays by state-dict key, their hash and shapes."""

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
"""Batch counter of BatchNorm, used in training only; it is neither stored nor required."""


def weights_sha256(weights: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of all tensors' bytes, little-endian, in the order of sorted keys."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(np.ascontiguousarray(weights[key]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def weights_of(module: nn.Module, dtype: str) -> Weights:
    """Return the state dict as numpy arrays of one dtype, without counters.

    Raises:
        ModelError: a value is NaN, infinite or beyond the range of ``dtype``.
    """
    weights: Weights = {}
    for key, tensor in _state(module).items():
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
    """Return a network on the meta device: it has shapes and no memory for weights."""
    with torch.device("meta"):
        return build(network, classes=classes, bands=bands, width=width, **variant)


def check_fit(where: str, module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that weights have exactly the keys and shapes of a network.

    Args:
        where: path of the weights, the start of the error message.
        module: the network.
        shapes: shapes of the weights by key.

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
    """Load weights into a network from `skeleton`, as float32."""
    state = {key: torch.from_numpy(array.astype(np.float32)) for key, array in weights.items()}
    counters = {
        key: torch.zeros((), dtype=torch.long) for key in module.state_dict().keys() - state
    }
    module.load_state_dict(state | counters, assign=True)


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's weights by key, without counters."""
    return {key: tuple(value.shape) for key, value in _state(module).items()}


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state dict without counters."""
    return {key: v for key, v in module.state_dict().items() if not key.endswith(COUNTER)}


def listed(keys: Sequence[str]) -> str:
    """Return the first key and the number of other keys, for messages."""
    more = f" and {len(keys) - 1} more keys" if len(keys) > 1 else ""
    return f"key {keys[0]!r}{more}"
