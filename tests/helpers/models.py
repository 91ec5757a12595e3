"""Make the identity network, whose mask equals its image, and probe graphs in this process."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from segtasks.networks import ClassEntry, Normalisation, build
from segtasks.networks.card import Form
from segtasks.networks.graphs import graph_card

CLASSES = 6
COLORS = ("#000000", "#ff0000", "#00ff00", "#0000ff", "#ffff00", "#ff00ff")


@pytest.fixture(scope="session")
def identity_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a model file for one band of values 0..5."""
    return make_identity(str(tmp_path_factory.mktemp("models") / "identity.safetensors"), bands=1)


@pytest.fixture(scope="session")
def identity_model_of_3(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the same for three bands, of which only the last one counts."""
    return make_identity(str(tmp_path_factory.mktemp("models") / "last.safetensors"), bands=3)


def make_identity(path: str, *, bands: int, dtype: str = "uint8") -> str:
    """Write a model: logit k of value x is 2kx - k² = x² - (x - k)², largest for k nearest to x."""
    import torch  # noqa: PLC0415 - every test run loads this file, few need torch

    from segtasks.networks.model_file import make_card, save  # noqa: PLC0415 - the same

    network = build("linear", classes=CLASSES, bands=bands)
    ids = torch.arange(CLASSES, dtype=torch.float32)
    weight = torch.zeros(CLASSES, bands, 1, 1)
    weight[:, -1, 0, 0] = 2 * ids
    network.load_state_dict({"score.weight": weight, "score.bias": -ids * ids})
    card = make_card(
        network,
        network="linear",
        classes=[
            ClassEntry(id=i, name=f"value {i}", color=color) for i, color in enumerate(COLORS)
        ],
        bands=[f"band {index}" for index in range(1, bands + 1)],
        normalisation=Normalisation(mean=(0,) * bands, std=(1,) * bands, dtype=dtype),
        licence="CC0-1.0",
    )
    save(path, network, card)
    return path


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the measurements of graphs out of the cache folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def probed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe graphs in this process, which has imported torch already."""

    @cache
    def found(path: str, form: Form, fields: str) -> Any:  # noqa: ANN401 JSON
        from segtasks.networks.graph_probe.__main__ import probe  # noqa: PLC0415 - see make_identity

        return json.loads(json.dumps(probe(path, form, json.loads(fields))))

    monkeypatch.setattr(graph_card, "_run_probe", found)
