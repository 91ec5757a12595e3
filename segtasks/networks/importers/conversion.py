"""One conversion: whose tensors they are, how they are spelt, and our network to hold them against.

What follows classes or bands is found by building our network, without memory, for 2 and for 3 of
them: nothing of that is declared twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from segtasks.networks.importers.key_mapping import KeyMapping
from segtasks.networks.network_spec import Option
from segtasks.networks.weights import shapes_of, skeleton

Weights = dict[str, Tensor]
KERNEL = 4
"""Axes of a convolution's weight."""


@dataclass(frozen=True)
class Conversion:
    """One conversion.

    Attributes:
        where: how messages begin.
        theirs: their tensors by their keys, prepared.
    """

    where: str
    network: str
    width: float
    variant: Mapping[str, Option]
    key_mapping: KeyMapping
    theirs: Mapping[str, Tensor]

    def ours(self, *, classes: int, bands: int) -> nn.Module:
        """Our network without memory for its weights."""
        return skeleton(
            self.network, classes=classes, bands=bands, width=self.width, variant=self.variant
        )

    @cached_property
    def probe(self) -> nn.Module:
        """Our network for any counts: its names, and what of it is learnt."""
        return self.ours(classes=2, bands=2)

    @cached_property
    def heads(self) -> list[str]:
        """Our kernels that have as many outputs as there are classes."""
        return _following(self.probe, self.ours(classes=3, bands=2), axis=0)

    @cached_property
    def firsts(self) -> list[str]:
        """Our kernels that have as many inputs as there are bands."""
        return _following(self.probe, self.ours(classes=2, bands=3), axis=1)

    @cached_property
    def frozen(self) -> set[str]:
        """Kernels between logits that nobody learns: a checkpoint may lack them."""
        learnt = {key for key, value in self.probe.named_parameters() if value.requires_grad}
        return set(self.heads) - learnt

    def offers(self, key: str) -> bool:
        """Whether they have a tensor for our key."""
        return self.key_mapping.theirs(key) in self.theirs

    def tensor(self, key: str) -> Tensor:
        """Their tensor for our key."""
        return self.theirs[self.key_mapping.theirs(key)]


def _following(two: nn.Module, three: nn.Module, *, axis: int) -> list[str]:
    """Kernels that have 2 channels along ``axis`` in one network and 3 in the other."""
    fewer, more = shapes_of(two), shapes_of(three)
    kernels = [key for key, shape in fewer.items() if len(shape) == KERNEL]
    return [key for key in kernels if (fewer[key][axis], more[key][axis]) == (2, 3)]
