"""Test that all forms of a network compute the same function."""

import pytest
import torch
from torch import Tensor

from segtasks.config.inference import Form
from segtasks.errors import ModelError
from segtasks.networks import build
from segtasks.networks.inference.forms import forms_on, timed
from segtasks.networks.inference.runtime import prepare

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
ON_CPU = forms_on("cpu")


@pytest.mark.parametrize("form", ON_CPU)
@pytest.mark.parametrize("name", ["fcn8s_lean", "pspnet50", "segnet"])
def test_every_form_gives_the_same_logits(name: str, form: Form) -> None:
    torch.manual_seed(0)
    network = build(name, classes=3, width=1 / 16).eval()
    x = torch.randn(1, 3, 97, 65)
    with torch.inference_mode():
        expected = network(x)
    found = prepare(network, form=form)(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_form_of_another_device_is_refused() -> None:
    with pytest.raises(
        ModelError, match="form 'compiled' is not available on cpu; choose packed, pl"
    ):
        prepare(build("linear", classes=2), form="compiled")


class Slow:
    """Squares a matrix so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            y = x @ x
        return y


def test_timing_tells_slow_from_fast() -> None:
    seconds = timed({"slow": Slow(60), "fast": Slow(1)}, torch.randn(300, 300))
    assert seconds["slow"] > 5 * seconds["fast"]
