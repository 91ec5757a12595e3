"""The registry of layouts by name. Needs no torch."""

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
    name: mappings for family in _FAMILIES for name, mappings in family.LAYOUTS.items()
}
_BACKBONES = imagenet.BACKBONES


def layouts() -> tuple[str, ...]:
    """Return the names of all layouts, sorted."""
    return tuple(sorted(_LAYOUTS))


def networks_of(layout: str) -> tuple[str, ...]:
    """Return the names of the networks of a layout, sorted."""
    return tuple(sorted(_LAYOUTS[layout]))


def key_mapping_of(layout: str, network: str) -> KeyMapping:
    """Return the key mapping of a whole network in a layout.

    Raises:
        ModelError: the layout or network is unknown, or the layout does not have the network.
    """
    return _found(_LAYOUTS, layout, network, "weights of")


def backbone_of(layout: str, network: str) -> KeyMapping:
    """Return the key mapping of the ImageNet backbone of a network in a layout.

    Raises:
        ModelError: the layout or network is unknown, or the layout does not have the backbone.
    """
    return _found(_BACKBONES, layout, network, "backbones for")


def variant_of(*, layout: str, network: str) -> dict[str, Option]:
    """Return the options with which ``network`` computes the same as the network of the layout.

    Raises:
        ModelError: as `key_mapping_of`.
    """
    return dict(key_mapping_of(layout, network).variant)


def normalisation_of(*, layout: str, network: str) -> Normalisation:
    """Return the normalisation of the weights for red, green, blue, in units of uint8.

    Raises:
        ModelError: as `key_mapping_of`.
    """
    inputs = key_mapping_of(layout, network).inputs or spec(network).inputs
    step = -1 if inputs.channels == "BGR" else 1
    unit = 255 / inputs.range_max
    mean, std = (tuple(unit * x for x in values[::step]) for values in (inputs.mean, inputs.std))
    return Normalisation(mean=mean, std=std)


def _found(
    table: Mapping[str, Mapping[str, KeyMapping]], layout: str, network: str, what: str
) -> KeyMapping:
    """Return one mapping; the error names the ones that exist."""
    if layout not in table:
        raise ModelError(f"layout {layout!r} is unknown; choose one of {', '.join(sorted(table))}")
    spec(network)
    if network not in table[layout]:
        known = ", ".join(sorted(table[layout]))
        raise ModelError(f"layout {layout} has no {what} {network}; it has {known}")
    return table[layout][network]
