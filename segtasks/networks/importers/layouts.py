"""The layouts by name, with what their tensors leave unsaid. Needs no torch."""

from collections.abc import Mapping

from segtasks.errors import ModelError
from segtasks.networks.card import Normalisation
from segtasks.networks.importers import (
    caffe,
    deeplab_v2,
    imagenet,
    mmseg,
    refinenet,
    semseg,
    smp,
    torchvision,
    wkentaro,
)
from segtasks.networks.importers.key_mapping import KeyMapping
from segtasks.networks.network_spec import Option
from segtasks.networks.registry import spec

_FAMILIES = (caffe, deeplab_v2, mmseg, refinenet, semseg, smp, torchvision, wkentaro)
_LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    name: spellings for family in _FAMILIES for name, spellings in family.LAYOUTS.items()
}
_BACKBONES = imagenet.BACKBONES


def layouts() -> tuple[str, ...]:
    """Names of all layouts, sorted."""
    return tuple(sorted(_LAYOUTS))


def networks_of(layout: str) -> tuple[str, ...]:
    """Names of the networks that a layout holds, sorted."""
    return tuple(sorted(_LAYOUTS[layout]))


def key_mapping_of(layout: str, network: str) -> KeyMapping:
    """How a layout spells a whole network.

    Raises:
        ModelError: no such layout, no such network, or the layout does not hold it.
    """
    return _found(_LAYOUTS, layout, network, "weights of")


def backbone_of(layout: str, network: str) -> KeyMapping:
    """How a layout spells the ImageNet backbone of a network.

    Raises:
        ModelError: no such layout, no such network, or the layout does not hold its backbone.
    """
    return _found(_BACKBONES, layout, network, "backbones for")


def variant_of(*, layout: str, network: str) -> dict[str, Option]:
    """The options of ``network`` that make it compute what the layout's network computes.

    Raises:
        ModelError: as `spelling_of`.
    """
    return dict(key_mapping_of(layout, network).variant)


def normalisation_of(*, layout: str, network: str) -> Normalisation:
    """What the weights were fed with: red, green, blue, in units of uint8.

    Raises:
        ModelError: as `spelling_of`.
    """
    inputs = key_mapping_of(layout, network).inputs or spec(network).inputs
    step = -1 if inputs.channels == "BGR" else 1
    unit = 255 / inputs.range_max
    mean, std = (tuple(unit * x for x in values[::step]) for values in (inputs.mean, inputs.std))
    return Normalisation(mean=mean, std=std)


def _found(
    table: Mapping[str, Mapping[str, KeyMapping]], layout: str, network: str, what: str
) -> KeyMapping:
    """One spelling, or what there is instead."""
    if layout not in table:
        raise ModelError(f"layout {layout!r} is unknown; choose one of {', '.join(sorted(table))}")
    spec(network)
    if network not in table[layout]:
        known = ", ".join(sorted(table[layout]))
        raise ModelError(f"layout {layout} holds no {what} {network}; it holds {known}")
    return table[layout][network]
