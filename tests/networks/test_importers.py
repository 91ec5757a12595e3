"""Foreign weights against golden vectors, against each other, and every way they can be wrong."""

from collections.abc import Mapping
from typing import Any

import foreign
import pytest
import torch
from formula import check_golden, formula_input, formula_state
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks import build, convert, convert_backbone, layouts, names, variant_of
from segtasks.networks.architectures.layers import ConvBn
from segtasks.networks.importers import normalisation_of
from segtasks.networks.importers.layouts import _BACKBONES, _LAYOUTS
from segtasks.networks.importers.spelling import reorder
from segtasks.networks.weights import shapes_of, skeleton

WIDTH = 1 / 16


def converted(
    state: Mapping[str, Any], layout: str, network: str, width: float = 1.0, **variant: Any
) -> nn.Module:
    """The network as whoever imports weights gets it, float64."""
    weights = convert(state, layout=layout, network=network, width=width, **variant)
    classes = next(w.shape[0] for key, w in reversed(weights.items()) if w.dim() == 4)
    options = variant_of(layout=layout, network=network) | variant
    with torch.device("meta"):
        module = build(network, classes=classes, width=width, **options)
    module.load_state_dict(weights, strict=True, assign=True)
    return module.double().eval()


def random_state(shapes: foreign.Shapes) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {key: torch.rand(shape, generator=generator) + 0.5 for key, shape in shapes.items()}
