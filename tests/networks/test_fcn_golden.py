"""FCN-8s against numbers printed by an independent implementation (wkentaro/pytorch-fcn, MIT).

Weights and input come from a formula, so no file is needed; the keys enter the formula, so the
names are tested too. facts/networks.md A.1.
"""

import math
from zlib import crc32

import pytest
import torch
from torch import Tensor, nn

from segtasks.networks import build
from segtasks.networks.layers import bilinear_deconv


def uniform(key: str, shape: tuple[int, ...]) -> Tensor:
    """u_i = frac(43758.5453 sin(12.9898 i + 78.233 (crc32(key) mod 1000))), i = 1...n."""
    i = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    s = i.mul_(12.9898).add_(78.233 * (crc32(key.encode()) % 1000)).sin_().mul_(43758.5453)
    return s.sub_(s.floor()).reshape(shape)


def formula_weight(key: str, shape: tuple[int, ...]) -> Tensor:
    r = uniform(key, shape).sub_(0.5)
    if len(shape) == 4:
        return r.mul_(math.sqrt(24 / (shape[1] * shape[2] * shape[3])))
    return r.mul_(0.1)


def formula_network() -> nn.Module:
    with torch.device("meta"):
        network = build("fcn8s", classes=21)
    state = {
        key: formula_weight(key, tuple(value.shape)).float()
        for key, value in network.state_dict().items()
        if not key.startswith("upscore")
    }
    for key, factor in (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8)):
        state[f"{key}.weight"] = bilinear_deconv(21, factor).weight
    network.load_state_dict(state, assign=True)
    return network.double().eval()


def test_fcn8s_gives_the_logits_of_the_independent_implementation() -> None:
    x = 2 * uniform("input", (1, 3, 50, 77)) - 1
    with torch.inference_mode():
        y = formula_network()(x)
    flat = y.flatten()
    found = [y.mean(), y.std(), flat[0], flat[flat.numel() // 2], flat[-1]]
    expected = [1.030240651, 3.126875016, 5.017261964, 0.4536811196, 0.4072746181]
    assert [value.item() for value in found] == pytest.approx(expected, rel=1e-6)
    assert y.argmax(dim=1).flatten().bincount().tolist() == [3850]


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
