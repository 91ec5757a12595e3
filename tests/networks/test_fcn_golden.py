"""Test FCN-32s and 8s against an independent implementation (wkentaro/pytorch-fcn, MIT)."""

import pytest
import torch
from torch import Tensor, nn

from segtasks.networks import build
from segtasks.networks.architectures.layers import bilinear_deconv
from tests.helpers.formula import check_golden, formula_input, formula_weight, uniform


def formula_network(name: str) -> nn.Module:
    with torch.device("meta"):
        network = build(name, classes=21)
    network.load_state_dict(
        {key: weight(key, tuple(v.shape)) for key, v in network.state_dict().items()}, assign=True
    )
    return network.double().eval()


def weight(key: str, shape: tuple[int, ...]) -> Tensor:
    if key.startswith("upscore"):
        return bilinear_deconv(21, shape[2] // 2).weight
    return formula_weight(key, shape)


# name: mean, std, first, middle, last; histogram of the classes
GOLDEN = [
    (
        "fcn8s",
        [1.030240651, 3.126875016, 5.017261964, 0.4536811196, 0.4072746181],
        {0: 3850},
    ),
    (
        "fcn32s",
        [0.1009999606, 0.6631251489, -0.191805532, -0.7795149313, 0.1060378762],
        {9: 720, 14: 20, 17: 510, 19: 2600},
    ),
]


@pytest.mark.parametrize(("name", "figures", "histogram"), GOLDEN)
def test_fcn_gives_the_logits_of_the_independent_implementation(
    name: str, figures: list[float], histogram: dict[int, int]
) -> None:
    with torch.inference_mode():
        y = formula_network(name)(formula_input(50, 77))
    check_golden(y, figures, histogram)


def test_the_formula_starts_as_documented() -> None:
    assert uniform("input", (3,)).tolist() == pytest.approx(
        [0.95847377, 0.70193469, 0.83036970], abs=1e-8
    )


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_the_frozen_deconvolution_keeps_a_constant_and_its_class(factor: int) -> None:
    x = torch.tensor([1.0, -2.0, 3.0])[None, :, None, None].expand(1, 3, 6, 6)
    with torch.inference_mode():
        y = bilinear_deconv(3, factor)(x)[:, :, factor:-factor, factor:-factor]
    assert torch.allclose(y, x[:, :, :1, :1].expand_as(y))
