"""`segtasks model probe` and `model export` as a user meets them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segtasks import cli
from segtasks.networks import read_card
from tests.helpers import graphs

pytestmark = pytest.mark.usefixtures("probed_here")
Command = Callable[..., tuple[int | str | None, str, str]]


@pytest.fixture
def segtasks(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Exit status, standard output and standard error of a command."""

    def run(*words: object) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["segtasks", *map(str, words)])
        status: int | str | None = 0
        try:
            cli.main()
        except SystemExit as ended:
            status = ended.code
        return (status, *capfd.readouterr())

    return run


def test_probe_writes_a_whole_card_from_what_is_stated(segtasks: Command, tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(), then=["Softmax"])
    stated = tmp_path / "stated.json"
    stated.write_text(json.dumps(graphs.STATED | {"ground_resolution_m": 0.2}))
    status, out, err = segtasks("model", "probe", path, "--card", stated)
    assert (status, err) == (0, "")
    assert f"card       {path}.card.json" in out
    assert "runs as    onnx, gives probabilities\ntakes      any from 1 px on; batches" in out
    fields = json.loads(Path(f"{path}.card.json").read_text())
    assert (fields["ground_resolution_m"], fields["lattice_px"]) == (0.2, 1)
    assert len(fields["weights_sha256"]) == 64
    status, out, _ = segtasks("model", "show", path)
    assert "network    n, a graph" in out
    assert "classes    0 value 0, 1 value 1" in out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing.onnx", "nothing.onnx: no such file; give TorchScript"),
        ("demo", "demo: not a graph; a model file contains its card"),
    ],
)
def test_probe_wants_a_graph(name: str, says: str, segtasks: Command) -> None:
    status, out, err = segtasks("model", "probe", name)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert says in err


def test_export_and_show(segtasks: Command, identity_model: str, tmp_path: Path) -> None:
    path = tmp_path / "n.pt"
    status, out, err = segtasks("model", "export", identity_model, "--to", path)
    assert (status, err) == (0, "")
    assert "runs as    torchscript, gives probabilities" in out
    assert [each.name for each in tmp_path.iterdir()] == ["n.pt"]
    card = read_card(path)
    assert (card.network, card.lattice_px, card.halo_px) == ("linear", 1, 0)


def test_export_of_one_size(segtasks: Command, identity_model: str, tmp_path: Path) -> None:
    path = tmp_path / "n.pt2"
    _, out, _ = segtasks("model", "export", identity_model, "--to", path, "--patch-px", 96)
    assert "takes      96 x 96 px only; one image at a time" in out
    card = read_card(path)
    assert card.graph is not None
    assert (card.graph.patch_px, card.graph.one_by_one) == (96, True)


def test_export_to_an_unknown_form_is_refused(
    segtasks: Command, identity_model: str, tmp_path: Path
) -> None:
    status, out, err = segtasks("model", "export", identity_model, "--to", tmp_path / "n.pb")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "n.pb: ends in none of .pt, .ts, .pt2, .onnx; rename it" in err
    assert not list(tmp_path.iterdir())
