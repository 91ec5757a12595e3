"""Import weights from other frameworks. Needs no torch until weights are converted."""

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
    """Convert a foreign state dict to the complete state dict of a network of segtasks.

    ``build(network, classes=K, bands=C, width=width, **variant_of(layout=..., network=...))`` loads
    the result with ``strict=True``; K and C are those of the tensors. It includes counters and
    frozen kernels. Three bands are converted to the order red, green, blue.

    Args:
        state_dict: the state dict as loaded. Wrappers (``state_dict``, ``model``) and prefixes
            (``module.``) are removed.
        layout: one of `layouts`.
        network: name of the network in the registry.
        width: multiplier of its channel counts.
        variant: options other than those that the layout implies.

    Returns:
        Tensors by the keys of the network, float32.

    Raises:
        ModelError: the layout, network or an option is unknown, or a key is missing, left over, of
            another shape or has values that are not finite.
    """
    from segtasks.networks.importers import converter  # noqa: PLC0415 - imports torch

    return converter.convert(state_dict, layout, network, width, variant).weights


def convert_backbone(
    state_dict: Mapping[str, Any],
    *,
    layout: str,
    network: str,
    width: float = 1.0,
    **variant: Option,
) -> "Backbone":
    """Convert an ImageNet classifier to the backbone of a network, to initialise training.

    Args:
        state_dict: state dict of the classifier, e.g. torchvision's vgg16 or resnet101.
        layout: one of `layouts`.
        network: name in the registry of the network that gets the backbone.
        width: multiplier of its channel counts.
        variant: options of the network.

    Raises:
        ModelError: as `convert`, for the keys of the backbone.
    """
    from segtasks.networks.importers import converter  # noqa: PLC0415 - imports torch

    return converter.convert_backbone(state_dict, layout, network, width, variant)
