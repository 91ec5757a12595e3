"""Declare how another framework names and stores the weights of a network. Needs no torch.

    native key  conv1.bn.weight --renames--> foreign key  bn1.weight --> tensor

Keys are mapped from native to foreign, so a mapping is complete by construction: every native key
has exactly one foreign key, and foreign keys that are not looked up are left over.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segtasks.networks.network_spec import InputConvention, Option

if TYPE_CHECKING:
    from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]
Rename = tuple[str, Replacement]
"""A pattern and its replacement, as `re.sub` takes them."""
Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Concat:
    """A concatenation of maps whose foreign order differs from the native order.

    Attributes:
        key: native key of the weight that reads the concatenation.
        foreign: native keys of the weights that compute the parts, in foreign order.
        native: the same keys in native order.
    """

    key: str
    foreign: tuple[str, ...]
    native: tuple[str, ...]


@dataclass(frozen=True)
class KeyMapping:
    """One network in one layout.

    Attributes:
        renames: turn a native key into a foreign key, applied one after another.
        variant: options with which the network computes the same as the foreign one.
        unused: patterns of foreign keys that the network does not need.
        concats: concatenations in another order.
        inputs: input of the foreign weights; None means as in the registry.
        batch_norm_eps: epsilon of the foreign BatchNorm.
        prepare: converts foreign tensors to the shapes, meanings and last names of torch.
        backbone: pattern of the native keys of an ImageNet backbone; None for a whole network.
    """

    renames: tuple[Rename, ...] = ()
    variant: Mapping[str, Option] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    concats: tuple[Concat, ...] = ()
    inputs: InputConvention | None = None
    batch_norm_eps: float = 1e-5
    prepare: Callable[[Tensors], Tensors] | None = None
    backbone: str | None = None

    def foreign_key(self, key: str) -> str:
        """Return the foreign key for a native key."""
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key

    def ignores(self, key: str) -> bool:
        """Whether the network does not need a foreign key."""
        return any(re.fullmatch(pattern, key) for pattern in self.unused)


def reorder(
    sizes: Mapping[str, int], *, foreign: Sequence[str], native: Sequence[str]
) -> tuple[int, ...]:
    """Return the index of each native input channel in the foreign concatenation.

    Args:
        sizes: number of channels of each part.
        foreign: the parts in foreign order.
        native: the same parts in native order.
    """
    starts, start = {}, 0
    for part in foreign:
        starts[part] = start
        start += sizes[part]
    return tuple(starts[part] + i for part in native for i in range(sizes[part]))
