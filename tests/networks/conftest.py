"""Fixtures for the tests of networks."""

import pytest
import torch
from torch import nn

from segtasks.networks import Card, ClassEntry, Normalisation, build
from segtasks.networks.model_file import make_card

CLASSES = (
    ClassEntry(id=0, name="ground", color="#808080"),
    ClassEntry(id=1, name="water", color="#0000ff"),
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Use one thread, so that sums do not depend on the number of threads."""
    torch.set_num_threads(1)


def narrow_largefov() -> nn.Module:
    torch.manual_seed(0)
    return build("largefov", classes=2, width=1 / 64, batch_norm=True).eval()


@pytest.fixture
def network() -> nn.Module:
    """Return a new narrow LargeFOV with BatchNorm and fixed weights."""
    return narrow_largefov()


@pytest.fixture(scope="session")
def card() -> Card:
    """Return the card of ``network``."""
    return make_card(
        narrow_largefov(),
        network="largefov",
        width=1 / 64,
        variant={"batch_norm": True},
        classes=CLASSES,
        bands=("red", "green", "blue"),
        normalisation=Normalisation(mean=(100, 110, 120), std=(50, 50, 50)),
        licence="CC0-1.0",
        ground_resolution_m=0.3,
    )
