"""Convert a foreign checkpoint to the state dict of a network, or of its backbone.

    checkpoint -> unwrap -> prepare -> check keys, counts and shapes -> transform tensors
               -> complete with frozen kernels and counters

A checkpoint that does not fit is refused with one line that names the first key that differs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from segtasks.networks.importers.conversion import Conversion, Weights
from segtasks.networks.importers.key_mapping import KeyMapping
from segtasks.networks.importers.layouts import backbone_of, key_mapping_of
from segtasks.networks.importers.matching import (
    check_left_over,
    check_missing,
    count,
    fitted,
    left_over,
)
from segtasks.networks.importers.tensor_transforms import transform_tensors
from segtasks.networks.importers.unwrap import unwrap
from segtasks.networks.network_spec import Option
from segtasks.networks.registry import build
from segtasks.networks.weights import shapes_of

_NARROW = 1 / 64
"""Width at which frozen kernels are built; they do not depend on channel counts."""


@dataclass(frozen=True)
class Converted:
    """The weights of a whole network.

    Attributes:
        weights: the complete state dict.
        classes: number of classes of its heads.
        bands: number of bands of its first convolution.
    """

    weights: Weights
    classes: int
    bands: int


@dataclass(frozen=True)
class Backbone:
    """The weights of a backbone.

    Attributes:
        weights: the part of the network's state dict that is the backbone.
        left_over: keys of the classifier that were not used.
    """

    weights: Weights
    left_over: tuple[str, ...]


def convert(
    state_dict: Mapping[str, Any],
    layout: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
) -> Converted:
    """See `segtasks.networks.importers.convert`."""
    key_mapping = key_mapping_of(layout, network)
    options = {**key_mapping.variant, **variant}
    conversion = _conversion(
        state_dict, f"{layout} {network}", network, width, options, key_mapping
    )
    keys = shapes_of(conversion.probe).keys()
    check_missing(conversion, keys - conversion.frozen_kernels)
    check_left_over(conversion, keys)
    classes, bands = (
        count(conversion, conversion.class_kernels, axis=0),
        count(conversion, conversion.band_kernels, axis=1),
    )
    module = conversion.native_network(classes=classes, bands=bands)
    weights = fitted(conversion, shapes_of(module))
    transform_tensors(conversion, module, weights)
    weights |= _kernels(
        conversion, conversion.frozen_kernels - weights.keys(), classes=classes, bands=bands
    )
    return Converted(_in_order(module, weights), classes, bands)


def convert_backbone(
    state_dict: Mapping[str, Any],
    layout: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
) -> Backbone:
    """See `segtasks.networks.importers.convert_backbone`."""
    key_mapping = backbone_of(layout, network)
    conversion = _conversion(
        state_dict, f"{layout} for {network}", network, width, variant, key_mapping
    )
    keys = [key for key in shapes_of(conversion.probe) if re.match(key_mapping.backbone or "", key)]
    check_missing(conversion, keys)
    module = conversion.native_network(
        classes=2, bands=count(conversion, conversion.band_kernels, axis=1)
    )
    shapes = shapes_of(module)
    weights = fitted(conversion, {key: shapes[key] for key in keys})
    transform_tensors(conversion, module, weights)
    return Backbone(weights, tuple(left_over(conversion, keys)))


def _conversion(
    state_dict: Mapping[str, Any],
    where: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
    key_mapping: KeyMapping,
) -> Conversion:
    """Unwrap and prepare the foreign tensors for a conversion."""
    foreign: Mapping[str, Tensor] = unwrap(where, state_dict)
    if key_mapping.prepare:
        foreign = key_mapping.prepare(foreign)
    return Conversion(where, network, width, variant, key_mapping, foreign)


def _kernels(conversion: Conversion, keys: set[str], *, classes: int, bands: int) -> Weights:
    """Return frozen kernels as the network builds them."""
    if not keys:
        return {}
    small = build(
        conversion.network, classes=classes, bands=bands, width=_NARROW, **conversion.variant
    )
    state = small.state_dict()
    return {key: state[key] for key in keys}


def _in_order(module: nn.Module, weights: Weights) -> Weights:
    """Return the weights in the order of the state dict, with counters of zero."""
    return {
        key: weights[key].contiguous() if key in weights else torch.zeros((), dtype=value.dtype)
        for key, value in module.state_dict().items()
    }
