"""The networks on ResNets against numbers printed by independent implementations.

Weights are a formula of their keys in the named repository, so each layout is spelt out here.
"""

import re
from collections.abc import Callable
from typing import Any

import torch
from formula import check_golden, formula_input, formula_weight
from torch import nn

from segtasks.networks import build

Layout = Callable[[str], str]


def formula_network(
    name: str,
    layout: Layout,
    gain: Callable[[str], float] = lambda _: 24,
    **variant: Any,  # noqa: ANN401 the options of `build`
) -> nn.Module:
    """The published network, every tensor filled as its key in ``layout`` demands."""
    with torch.device("meta"):
        network = build(name, classes=21, **variant)
    state = {
        key: formula_weight(layout(key), tuple(value.shape), gain(layout(key)))
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    network.load_state_dict(state, assign=True, strict=False)
    return network.double().eval()


def kazuto1011(key: str) -> str:
    """layer3.0.conv2.bn.bias -> layer4.block1.conv3x3.bn.bias."""
    if key.startswith("aspp"):
        return key.replace("aspp.", "aspp.c")
    names = {"conv1": "reduce", "conv2": "conv3x3", "conv3": "increase", "shortcut": "shortcut"}
    if found := re.fullmatch(r"layer(\d)\.(\d+)\.(\w+)\.(.*)", key):
        stage, block = int(found[1]) + 1, int(found[2]) + 1
        return f"layer{stage}.block{block}.{names[found[3]]}.{in_pair(found[4])}"
    return f"layer1.conv1.{in_pair(key.removeprefix('conv1.'))}"


def in_pair(tail: str) -> str:
    """Weight -> conv.weight; bn.bias stays."""
    return tail if tail.startswith("bn.") else f"conv.{tail}"


def test_deeplabv2_gives_the_logits_of_the_independent_implementation() -> None:
    network = formula_network("deeplabv2_resnet101", kazuto1011)
    with torch.inference_mode():
        y = network.coarse_logits(formula_input(65, 81))  # type: ignore[operator]
    figures = [107401.9507, 1114181.446, -1574131.538, 3049309.399, 1966779.581]
    check_golden(y, figures, {10: 59, 15: 26, 18: 14})
