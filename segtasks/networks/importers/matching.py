"""Hold their tensors against our network: names, counts, shapes. What does not fit is named."""

import math
from collections.abc import Iterable, Mapping, Sequence

from segtasks.errors import ModelError
from segtasks.networks.importers.conversion import KERNEL, Conversion, Weights
from segtasks.networks.weights import listed

_MATRIX = 2
"""Axes of a fully connected layer's weight."""
_MEND = "is it a checkpoint of this layout and network?"


def check_missing(case: Conversion, keys: Iterable[str]) -> None:
    """They have a tensor for each of our ``keys``.

    Raises:
        ModelError: with the first that is missing, as they name it.
    """
    if missing := sorted(case.key_mapping.theirs(key) for key in keys if not case.offers(key)):
        raise ModelError(f"{case.where}: {listed(missing)} missing; {_MEND}")


def check_left_over(case: Conversion, keys: Iterable[str]) -> None:
    """None of theirs is left when each of our ``keys`` has taken its own.

    Raises:
        ModelError: with the first that is left over.
    """
    if extra := [key for key in left_over(case, keys) if not case.key_mapping.ignores(key)]:
        raise ModelError(f"{case.where}: {listed(extra)} left over; {_MEND}")


def left_over(case: Conversion, keys: Iterable[str]) -> list[str]:
    """Their keys that none of our ``keys`` takes, sorted."""
    return sorted(case.theirs.keys() - {case.key_mapping.theirs(key) for key in keys})


def count(case: Conversion, kernels: Sequence[str], *, axis: int) -> int:
    """Their number of classes or bands, read off the first kernel that has it and is theirs."""
    return case.tensor(next(key for key in kernels if case.offers(key))).shape[axis]


def fitted(case: Conversion, shapes: Mapping[str, tuple[int, ...]]) -> Weights:
    """Their tensors by our keys, in our shapes; those they lack are left out.

    Raises:
        ModelError: one has another shape.
    """
    weights = {}
    for key in filter(case.offers, shapes):
        tensor, shape = case.tensor(key), shapes[key]
        if not fits(tensor.shape, shape):
            raise ModelError(
                f"{case.where}: key {case.key_mapping.theirs(key)!r} is {tuple(tensor.shape)}, the "
                f"network needs {shape}; are network, width {case.width:g} and options right?"
            )
        weights[key] = tensor.reshape(shape)
    return weights


def fits(theirs: Sequence[int], ours: Sequence[int]) -> bool:
    """The same but for axes of length 1, or a matrix that is a kernel over the whole map.

    VGG16's fc6 is (4096, 25088) where the network is fully convolutional: (4096, 512, 7, 7).
    """
    if len(theirs) == _MATRIX and len(ours) == KERNEL:
        return theirs[0] == ours[0] and theirs[1] == math.prod(ours[1:])
    return [n for n in theirs if n > 1] == [n for n in ours if n > 1]
