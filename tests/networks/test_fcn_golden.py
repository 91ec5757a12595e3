"""FCN-8s against numbers printed by an independent implementation (wkentaro/pytorch-fcn, MIT)."""

import pytest
import torch
from formula import check_golden, formula_input, formula_weight, uniform
from torch import nn

from segtasks.networks import build
from segtasks.networks.architectures.layers import bilinear_deconv


def formula_network() -> nn.Module:
    with torch.device("meta"):
        network = build("fcn8s", classes=21)
    state = {
        key: formula_weight(key, tuple(value.shape))
        for key, value in network.state_dict().items()
        if not key.startswith("upscore")
    }
    for key, factor in (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8)):
        state[f"{key}.weight"] = bilinear_deconv(21, factor).weight
    network.load_state_dict(state, assign=True)
    return network.double().eval()


def test_fcn8s_gives_the_logits_of_the_independent_implementation() -> None:
    with torch.inference_mode():
        y = formula_network()(formula_input(50, 77))
    figures = [1.030240651, 3.126875016, 5.017261964, 0.4536811196, 0.4072746181]
    check_golden(y, figures, {0: 3850})


def test_the_formula_starts_as_documented() -> None:
    assert uniform("input", (3,)).tolist() == pytest.approx(
        [0.95847377, 0.70193469, 0.83036970], abs=1e-8
    )


@pytest.mark.parametrize("factor", [2, 8])
def test_the_frozen_deconvolution_keeps_a_constant_and_its_class(factor: int) -> None:
    x = torch.tensor([1.0, -2.0, 3.0])[None, :, None, None].expand(1, 3, 6, 6)
    with torch.inference_mode():
        y = bilinear_deconv(3, factor)(x)[:, :, factor:-factor, factor:-factor]
    assert torch.allclose(y, x[:, :, :1, :1].expand_as(y))
