"""Remove the wrappers of checkpoints: dictionaries, key prefixes, counters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from segtasks.errors import ModelError
from segtasks.networks.weights import COUNTER

_CONTAINERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "Scale.", "base.")


def unwrap(where: str, loaded: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, float32, by keys without prefixes, without counters.

    Args:
        where: path of the checkpoint, the start of error messages.
        loaded: content of the file: tensors by key, possibly under ``state_dict`` or ``model``.

    Raises:
        ModelError: there are no tensors, a key occurs twice, or a tensor is not finite.
    """
    tensors: dict[str, Tensor] = {}
    for full, value in _inner(loaded).items():
        key = _bare(full)
        if not isinstance(value, Tensor) or key.endswith(COUNTER):
            continue
        if key in tensors:
            raise ModelError(f"{where}: key {key!r} occurs twice, once as {full!r}; remove one")
        tensors[key] = value.detach().to(torch.float32)
    if not tensors:
        raise ModelError(f"{where}: has no tensors; give a state dict (module.state_dict())")
    _check_finite(where, tensors)
    return tensors


def _inner(loaded: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the innermost dictionary under the names that frameworks use."""
    for name in _CONTAINERS:
        if isinstance(loaded.get(name), Mapping):
            return _inner(loaded[name])
    return loaded


def _bare(key: str) -> str:
    """Remove prefixes: ``module.Scale.conv1.weight`` -> ``conv1.weight``."""
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            return _bare(key.removeprefix(prefix))
    return key


def _check_finite(where: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse NaN and infinite values."""
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ModelError(
                f"{where}: key {key!r} holds NaN or infinite values; its training diverged or the "
                "file is damaged, take an earlier checkpoint"
            )
