"""Give a network of ours the tensors of somebody else's, or say in one line why that cannot be.

::

    checkpoint -> unwrap -> prepare -> names, counts, shapes -> bands, joins, eps -> complete
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
from segtasks.networks.importers.tensor_transforms import translate
from segtasks.networks.importers.unwrap import unwrap
from segtasks.networks.network_spec import Option
from segtasks.networks.registry import build
from segtasks.networks.weights import shapes_of

_NARROW = 1 / 64
"""Frozen kernels do not depend on channel counts."""


@dataclass(frozen=True)
class Converted:
    """A whole network.

    Attributes:
        weights: its complete state dict.
        classes: of its heads.
        bands: of its first convolution.
    """

    weights: Weights
    classes: int
    bands: int


@dataclass(frozen=True)
class Backbone:
    """What a classifier gives to a network.

    Attributes:
        weights: by our keys; the rest of the network keeps what it has.
        left_over: the classifier's keys that nothing was made of.
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
    spelling = key_mapping_of(layout, network)
    options = {**spelling.variant, **variant}
    case = _case(state_dict, f"{layout} {network}", network, width, options, spelling)
    keys = shapes_of(case.probe).keys()
    check_missing(case, keys - case.frozen)
    check_left_over(case, keys)
    classes, bands = count(case, case.heads, axis=0), count(case, case.firsts, axis=1)
    module = case.ours(classes=classes, bands=bands)
    weights = fitted(case, shapes_of(module))
    translate(case, module, weights)
    weights |= _kernels(case, case.frozen - weights.keys(), classes=classes, bands=bands)
    return Converted(_in_order(module, weights), classes, bands)


def convert_backbone(
    state_dict: Mapping[str, Any],
    layout: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
) -> Backbone:
    """See `segtasks.networks.importers.convert_backbone`."""
    spelling = backbone_of(layout, network)
    case = _case(state_dict, f"{layout} for {network}", network, width, variant, spelling)
    keys = [key for key in shapes_of(case.probe) if re.match(spelling.backbone or "", key)]
    check_missing(case, keys)
    module = case.ours(classes=2, bands=count(case, case.firsts, axis=1))
    shapes = shapes_of(module)
    weights = fitted(case, {key: shapes[key] for key in keys})
    translate(case, module, weights)
    return Backbone(weights, tuple(left_over(case, keys)))


def _case(
    state_dict: Mapping[str, Any],
    where: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
    spelling: KeyMapping,
) -> Conversion:
    """Their tensors, brought into torch's shapes, and all that is known of them."""
    theirs: Mapping[str, Tensor] = unwrap(where, state_dict)
    if spelling.prepare:
        theirs = spelling.prepare(theirs)
    return Conversion(where, network, width, variant, spelling, theirs)


def _kernels(case: Conversion, keys: set[str], *, classes: int, bands: int) -> Weights:
    """Frozen kernels as the network makes them."""
    if not keys:
        return {}
    small = build(case.network, classes=classes, bands=bands, width=_NARROW, **case.variant)
    state = small.state_dict()
    return {key: state[key] for key in keys}


def _in_order(module: nn.Module, weights: Weights) -> Weights:
    """As the network lists them, with training's counters at zero."""
    return {
        key: weights[key].contiguous() if key in weights else torch.zeros((), dtype=value.dtype)
        for key, value in module.state_dict().items()
    }
