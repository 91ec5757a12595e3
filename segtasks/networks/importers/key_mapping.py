"""How somebody else spells a network's weights, declared. Needs no torch.

    our key  conv1.bn.weight --renames--> their key  bn1.weight --> their tensor --> ours

Names go from ours to theirs, so a layout is complete by construction: every key of ours is looked
up under exactly one of theirs, and whatever of theirs nobody asked for is left over.
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
    """The order in which a convolution's input channels are joined, where theirs is not ours.

    Attributes:
        key: our key of the weight that reads the joined map.
        theirs: our keys of the weights that make the parts, in their order.
        ours: the same keys in our order.
    """

    key: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]


@dataclass(frozen=True)
class KeyMapping:
    """One network in one layout.

    Attributes:
        renames: applied to our key one after another; what comes out is theirs.
        variant: options of our network that make it theirs.
        unused: patterns of their keys that our network does not need.
        concats: joined maps whose parts lie in another order.
        inputs: what their weights were fed with; None: as the registry's entry says.
        batch_norm_eps: what their BatchNorm adds to the variance.
        prepare: brings their tensors into torch's shapes and meanings, under torch's last names.
        backbone: pattern of our keys that an ImageNet model must have; None: a whole network.
    """

    renames: tuple[Rename, ...] = ()
    variant: Mapping[str, Option] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    concats: tuple[Concat, ...] = ()
    inputs: InputConvention | None = None
    batch_norm_eps: float = 1e-5
    prepare: Callable[[Tensors], Tensors] | None = None
    backbone: str | None = None

    def theirs(self, key: str) -> str:
        """Their name of our key."""
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key

    def ignores(self, key: str) -> bool:
        """Whether our network does not need their key."""
        return any(re.fullmatch(pattern, key) for pattern in self.unused)


def reorder(
    sizes: Mapping[str, int], *, theirs: Sequence[str], ours: Sequence[str]
) -> tuple[int, ...]:
    """Where our input channels lie in their joined map.

    Args:
        sizes: channels of each part.
        theirs: the parts in their order.
        ours: the same parts in our order.
    """
    starts, start = {}, 0
    for part in theirs:
        starts[part] = start
        start += sizes[part]
    return tuple(starts[part] + i for part in ours for i in range(sizes[part]))
