"""Match foreign tensors with a network by keys, counts and shapes; errors name what differs."""

import math
from collections.abc import Iterable, Mapping, Sequence

from segtasks.errors import ModelError
from segtasks.networks.importers.conversion import KERNEL, Conversion, Weights
from segtasks.networks.weights import listed

_MATRIX = 2
"""Number of axes of a fully connected layer's weight."""
_REMEDY = "is it a checkpoint of this layout and network?"


def check_missing(conversion: Conversion, keys: Iterable[str]) -> None:
    """Check that there is a foreign tensor for each native key.

    Raises:
        ModelError: names the first missing foreign key.
    """
    if missing := sorted(
        conversion.key_mapping.foreign_key(key) for key in keys if not conversion.has(key)
    ):
        raise ModelError(f"{conversion.where}: {listed(missing)} missing; {_REMEDY}")


def check_left_over(conversion: Conversion, keys: Iterable[str]) -> None:
    """Check that the native keys use all foreign tensors, except unused ones.

    Raises:
        ModelError: names the first foreign key that is left over.
    """
    if extra := [
        key for key in left_over(conversion, keys) if not conversion.key_mapping.ignores(key)
    ]:
        raise ModelError(f"{conversion.where}: {listed(extra)} left over; {_REMEDY}")


def left_over(conversion: Conversion, keys: Iterable[str]) -> list[str]:
    """Return the foreign keys that no native key uses, sorted."""
    return sorted(
        conversion.foreign.keys() - {conversion.key_mapping.foreign_key(key) for key in keys}
    )


def count(conversion: Conversion, kernels: Sequence[str], *, axis: int) -> int:
    """Return the number of classes or bands, from the first foreign kernel that shows it."""
    return conversion.tensor(next(key for key in kernels if conversion.has(key))).shape[axis]


def fitted(conversion: Conversion, shapes: Mapping[str, tuple[int, ...]]) -> Weights:
    """Return the foreign tensors by native keys, in native shapes; missing ones are left out.

    Raises:
        ModelError: a tensor has another shape.
    """
    weights = {}
    for key in filter(conversion.has, shapes):
        tensor, shape = conversion.tensor(key), shapes[key]
        if not fits(tensor.shape, shape):
            foreign_key = conversion.key_mapping.foreign_key(key)
            raise ModelError(
                f"{conversion.where}: key {foreign_key!r} is {tuple(tensor.shape)}, the "
                f"network needs {shape}; are network, width {conversion.width:g} and options right?"
            )
        weights[key] = tensor.reshape(shape)
    return weights


def fits(foreign: Sequence[int], native: Sequence[int]) -> bool:
    """Whether shapes agree, except axes of length 1 and matrices that are kernels of a whole map.

    VGG16's fc6 is (4096, 25088) where the network is fully convolutional: (4096, 512, 7, 7).
    """
    if len(foreign) == _MATRIX and len(native) == KERNEL:
        return foreign[0] == native[0] and foreign[1] == math.prod(native[1:])
    return [n for n in foreign if n > 1] == [n for n in native if n > 1]
