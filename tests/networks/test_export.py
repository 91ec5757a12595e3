"""Test the export: failed conversions are one line; graphs with another output are not written."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks import Card, build
from segtasks.networks import export as package
from segtasks.networks.export import export

# TorchScript is deprecated and is what the rivals read.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

NAMES = ["fcn8s", "largefov", "segnet_basic"]


def narrow(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(name, classes=2, width=1 / 64).eval()


@pytest.mark.parametrize("name", NAMES)
def test_torchscript_takes_raw_pixels_of_any_size(name: str, card: Card, tmp_path: Path) -> None:
    module, path = narrow(name), tmp_path / "model.ts"
    export(module, card.model_copy(update={"network": name}), str(path))
    raw = torch.randint(0, 255, (1, 3, 45, 70), dtype=torch.uint8)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (card.normalisation.mean, card.normalisation.std)
    )
    with torch.inference_mode():
        expected = module((raw - mean) / std).softmax(dim=1)
        found = torch.jit.load(path)(raw)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


class Growing(nn.Module):
    """Does something that no graph can hold: it looks at its pixels to know what to do."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, 2, H, W)."""
        classes = {0, 1}
        return x[:, sorted(classes)] if x.is_meta or x.sum() > 0 else x[:, 1:]


@pytest.mark.parametrize(
    ("name", "says", "remedy"),
    [
        ("n.pt", "as TorchScript", "export it to .pt2 or .onnx"),
        ("n.pt2", "as torch.export", "give --patch-px, or export it to .pt"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    name: str, says: str, remedy: str, card: Card, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=f"largefov cannot be written {says} .*; {remedy}"):
        export(Growing(), card, str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_a_graph_that_answers_otherwise_is_not_left_behind(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = narrow("fcn8s")
    nn.init.constant_(other.get_parameter("score_fr.bias"), 3)
    write = package._write_torchscript  # noqa: SLF001 the converter that goes wrong

    def wrong(raw: nn.Module, card: Card, path: str) -> None:
        raw.get_submodule("module").load_state_dict(other.state_dict())
        raw.get_parameter("module.score_fr.bias")[0] = -3
        write(raw, card, path)
        raw.get_submodule("module").load_state_dict(other.state_dict())

    monkeypatch.setattr(package, "_write_torchscript", wrong)
    with pytest.raises(
        ModelError, match="gives another output: probabilities of 1 x 1 px differ by"
    ):
        export(narrow("fcn8s"), card, str(tmp_path / "n.pt"))
    assert not list(tmp_path.iterdir())


def test_writing_onnx_without_its_writer_is_refused(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModelError, match=r"needs onnxscript; pip install 'segtasks\[export\]'"):
        export(narrow("fcn8s"), card, str(tmp_path / "n.onnx"))
