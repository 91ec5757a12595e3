"""Test model files: the round trip, and the refusal of damaged files in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from segtasks.errors import ModelError
from segtasks.networks import Card, ClassEntry, build, read_card
from segtasks.networks.model_file import load, make_card, save
from segtasks.networks.weights import weights_sha256

METADATA = "segtasks"


@pytest.fixture
def path(tmp_path: Path, network: nn.Module, card: Card) -> Path:
    save(tmp_path / "model.safetensors", network, card)
    return tmp_path / "model.safetensors"


def rewrite(
    path: Path, *, drop: str = "", add: dict[str, Any] | None = None, **card_fields: object
) -> None:
    """Rewrite the file with other keys or card fields, without `save`."""
    fields = json.loads(read_card(path).model_dump_json()) | card_fields
    weights = {key: value for key, value in load_file(path).items() if key != drop}
    save_file(weights | (add or {}), path, metadata={METADATA: json.dumps(fields)})


def rehash(path: Path) -> None:
    """Make the card's hash fit, so that the next check is the one tested."""
    rewrite(path, weights_sha256=weights_sha256(load_file(path)))


def test_the_card_is_measured(card: Card) -> None:
    assert (card.lattice_px, card.output_stride) == (8, 8)
    assert (card.receptive_field_px, card.halo_px) == (443, 224)
    assert 0 < card.effective_halo_px <= 224
    assert card.forward_bytes_per_px >= 12


def test_a_model_comes_back_as_it_was(path: Path, network: nn.Module, card: Card) -> None:
    loaded, read = load(path)
    assert read == card
    assert not loaded.training
    x = torch.randn(1, 3, 30, 20)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


def test_a_loaded_network_can_be_trained_further(path: Path) -> None:
    loaded, _ = load(path)
    loaded.train()(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in loaded.parameters() if p.requires_grad)


def test_frozen_kernels_stay_frozen(tmp_path: Path, card: Card) -> None:
    module = build("fcn8s", classes=2, width=1 / 64)
    card = card.model_copy(update={"network": "fcn8s", "variant": {}})
    save(tmp_path / "m", module, card)
    assert not load(tmp_path / "m")[0].get_parameter("upscore8.weight").requires_grad


def test_float16_halves_the_file_and_is_float32_again(
    tmp_path: Path, path: Path, network: nn.Module
) -> None:
    small = tmp_path / "half.safetensors"
    written = save(small, network, read_card(path), dtype="float16")
    loaded, read = load(small)
    assert read == written
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    # the header (keys and card) does not shrink
    assert small.stat().st_size < 0.75 * path.stat().st_size


def test_the_card_is_read_without_torch(path: Path) -> None:
    code = (
        "import sys; from segtasks.networks import read_card, names, spec; names();"
        f"read_card({str(path)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_unfinished_file_is_left(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        read_card(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0, 5, 400, -8])
def test_a_truncated_file_is_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load(path)


def test_another_format_is_refused(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(1000))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_card(path)


def test_weights_without_a_card_are_refused(path: Path) -> None:
    save_file(load_file(path), path)
    with pytest.raises(ModelError, match="no segtasks card in its metadata"):
        read_card(path)


def test_a_card_of_another_version_is_refused(path: Path) -> None:
    rewrite(path, format=2)
    with pytest.raises(ModelError, match="card format 2, this segtasks reads 1"):
        load(path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_card_that_is_no_object_is_refused(path: Path, text: str) -> None:
    save_file(load_file(path), path, metadata={METADATA: text})
    with pytest.raises(ModelError, match="its card is not a JSON object"):
        read_card(path)


def test_a_card_with_a_bad_field_is_refused_by_name(path: Path) -> None:
    rewrite(path, lattice_px=0)
    with pytest.raises(ModelError, match="card field lattice_px: Input should be greater than 0"):
        read_card(path)


def test_changed_weights_are_refused(path: Path) -> None:
    rewrite(path, add={"fc8.bias": np.ones(2, np.float32)})
    with pytest.raises(ModelError, match="weights differ from the card's sha256"):
        load(path)


def test_a_missing_key_is_refused_by_name(path: Path) -> None:
    rewrite(path, drop="fc8.bias")
    rehash(path)
    with pytest.raises(ModelError, match=r"key 'fc8\.bias' missing"):
        load(path)


def test_a_left_over_key_is_refused_by_name(path: Path) -> None:
    rewrite(path, add={"fc9.bias": np.ones(2, np.float32), "fc9.weight": np.ones(2, np.float32)})
    rehash(path)
    with pytest.raises(ModelError, match=r"key 'fc9\.bias' and 1 more keys left over"):
        load(path)


def test_a_wrong_shape_is_refused_by_name(path: Path) -> None:
    rewrite(path, add={"fc8.bias": np.ones(3, np.float32)})
    rehash(path)
    with pytest.raises(ModelError, match=r"fc8\.bias is \(3,\), the network needs \(2,\)"):
        load(path)


def test_an_unknown_network_is_refused(path: Path) -> None:
    rewrite(path, network="unet")
    with pytest.raises(ModelError, match="'unet' is unknown"):
        load(path)


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), "float32"), (1e6, "float16")])
def test_weights_that_do_not_fit_are_not_written(
    tmp_path: Path,
    network: nn.Module,
    card: Card,
    value: float,
    dtype: Literal["float32", "float16"],
) -> None:
    nn.init.constant_(network.get_parameter("fc8.bias"), value)
    with pytest.raises(ModelError, match=f"'fc8.bias' hold values that are not finite in {dtype}"):
        save(tmp_path / "m", network, card, dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_a_card_for_another_network_is_refused(network: nn.Module, card: Card) -> None:
    with pytest.raises(
        ModelError, match=r"this module: fc8\.weight is \(2, .* needs \(3, 16, 1, 1\)"
    ):
        make_card(
            network,
            network="largefov",
            width=1 / 64,
            variant={"batch_norm": True},
            classes=(*card.classes, ClassEntry(id=2, name="road", color="#ffffff")),
            bands=card.bands,
            normalisation=card.normalisation,
            licence="CC0-1.0",
        )
