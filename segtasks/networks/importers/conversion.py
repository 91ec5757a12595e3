"""One conversion: foreign tensors, the mapping of their keys, and the network that gets them.

"Foreign" keys and tensors are those of the other framework, "native" ones those of segtasks. Which
kernels depend on the number of classes or bands is found by building the network, without memory,
for 2 and for 3 of them.
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
"""Number of axes of a convolution's weight."""


@dataclass(frozen=True)
class Conversion:
    """One conversion.

    Attributes:
        where: origin of the tensors, the start of error messages.
        network: name of the network in the registry.
        width: multiplier of its channel counts.
        variant: its options.
        key_mapping: foreign keys by native keys.
        foreign: foreign tensors by foreign keys, after `KeyMapping.prepare`.
    """

    where: str
    network: str
    width: float
    variant: Mapping[str, Option]
    key_mapping: KeyMapping
    foreign: Mapping[str, Tensor]

    def native_network(self, *, classes: int, bands: int) -> nn.Module:
        """Return the network without memory for its weights."""
        return skeleton(
            self.network, classes=classes, bands=bands, width=self.width, variant=self.variant
        )

    @cached_property
    def probe(self) -> nn.Module:
        """The network for some number of classes and bands; its keys do not depend on them."""
        return self.native_network(classes=2, bands=2)

    @cached_property
    def class_kernels(self) -> list[str]:
        """Native kernels with one output per class."""
        return _following(self.probe, self.native_network(classes=3, bands=2), axis=0)

    @cached_property
    def band_kernels(self) -> list[str]:
        """Native kernels with one input per band."""
        return _following(self.probe, self.native_network(classes=2, bands=3), axis=1)

    @cached_property
    def frozen_kernels(self) -> set[str]:
        """Native kernels between logits that are not trained: a checkpoint may lack them."""
        trained = {key for key, value in self.probe.named_parameters() if value.requires_grad}
        return set(self.class_kernels) - trained

    def has(self, key: str) -> bool:
        """Whether there is a foreign tensor for a native key."""
        return self.key_mapping.foreign_key(key) in self.foreign

    def tensor(self, key: str) -> Tensor:
        """Return the foreign tensor for a native key."""
        return self.foreign[self.key_mapping.foreign_key(key)]


def _following(two: nn.Module, three: nn.Module, *, axis: int) -> list[str]:
    """Return the kernels with 2 channels along ``axis`` in one network and 3 in the other."""
    fewer, more = shapes_of(two), shapes_of(three)
    kernels = [key for key, shape in fewer.items() if len(shape) == KERNEL]
    return [key for key in kernels if (fewer[key][axis], more[key][axis]) == (2, 3)]
