"""Weights trained elsewhere, under our keys. Needs no torch until something is converted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segtasks.networks.importers.layouts import layouts, normalisation_of, variant_of
from segtasks.networks.network_spec import Option

if TYPE_CHECKING:
    from torch import Tensor

    from segtasks.networks.importers.converter import Backbone

__all__ = ["convert", "convert_backbone", "layouts", "normalisation_of", "variant_of"]


def convert(
    state_dict: Mapping[str, Any],
    *,
    layout: str,
    network: str,
    width: float = 1.0,
    **variant: Option,
) -> "dict[str, Tensor]":
    """A foreign state dict under our keys, complete: counters and frozen kernels included.

    ``build(network, classes=K, bands=C, width=width, **variant_of(layout=..., network=...))`` takes
    it with ``strict=True``; K and C are those of the tensors. Three bands come out as red, green,
    blue, however the weights were trained.

    Args:
        state_dict: as loaded; wrappers (``state_dict``, ``model``) and prefixes (``module.``) are
            looked through.
        layout: one of `layouts`.
        network: our name of the network.
        width: multiplier of its channel counts.
        variant: options beyond those the layout implies.

    Raises:
        ModelError: unknown layout, network or option; a key is missing, left over, misshapen or
            holds values that are not finite.
    """
    from segtasks.networks.importers import converter  # noqa: PLC0415 - torch, which listing need not

    return converter.convert(state_dict, layout, network, width, variant).weights


def convert_backbone(
    state_dict: Mapping[str, Any],
    *,
    layout: str,
    network: str,
    width: float = 1.0,
    **variant: Option,
) -> "Backbone":
    """The part of a network that an ImageNet classifier gives: to begin training from.

    Args:
        state_dict: of the classifier, e.g. torchvision's vgg16 or resnet101.
        layout: one of `layouts`.
        network: our name of the network that takes the backbone.
        width: multiplier of its channel counts.
        variant: options of the network.

    Raises:
        ModelError: as `convert`; a backbone's key is missing or misshapen.
    """
    from segtasks.networks.importers import converter  # noqa: PLC0415 - torch, which listing need not

    return converter.convert_backbone(state_dict, layout, network, width, variant)
