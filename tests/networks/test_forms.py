"""The forms of a network: one function, whichever is taken."""

import pytest
import torch
from torch import Tensor

from segtasks.errors import ModelError
from segtasks.networks import build
from segtasks.networks.forms import FORMS, fastest
from segtasks.networks.runtime import prepare

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
ON_CPU = [name for name, form in FORMS.items() if "cpu" in form.devices]


@pytest.mark.parametrize("form", ON_CPU)
@pytest.mark.parametrize("name", ["fcn8s_lean", "pspnet50", "segnet"])
def test_every_form_gives_the_same_logits(name: str, form: str) -> None:
    torch.manual_seed(0)
    network = build(name, classes=3, width=1 / 16).eval()
    x = torch.randn(1, 3, 97, 65)
    with torch.inference_mode():
        expected = network(x)
    found = prepare(network, form=form)(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_form_of_another_device_is_refused() -> None:
    with pytest.raises(ModelError, match="form 'compiled' is not there on cpu; choose packed, pl"):
        prepare(build("linear", classes=2), form="compiled")


class Slow:
    """Squares a matrix so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            y = x @ x
        return y


@pytest.mark.parametrize(("other", "best"), [(1, "plain"), (60, "packed")])
def test_the_fastest_form_is_found(other: int, best: str) -> None:
    forwards = {"packed": Slow(30), "plain": Slow(other)}
    assert fastest(forwards, torch.randn(300, 300))[0] == best
