"""`segtasks model import`: one line for every mistake, and a model file that runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from segtasks import cli
from segtasks.networks import convert, pretrained, read_card
from segtasks.networks.model_file import load
from tests.helpers import foreign

WIDTH = 1 / 64
LEGEND = [
    {"id": 0, "name": "ground", "color": "#808080"},
    {"id": 1, "name": "water", "color": "#0000ff"},
]
Refused = Callable[..., str]


def state(bands: int = 3) -> foreign.Weights:
    shapes = foreign.fcn8s(2, WIDTH)
    return foreign.random_state(shapes | {"conv1_1.weight": (1, bands, 3, 3)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.save({"model_state_dict": state()}, tmp_path / "fcn.pth.tar")
    (tmp_path / "legend.yaml").write_text(yaml.safe_dump(LEGEND))
    return tmp_path


def words(folder: Path, **other: Any) -> list[str]:  # noqa: ANN401 any option's value
    """A command that works, but for the options given; None leaves one out."""
    given = {
        "layout": "wkentaro",
        "network": "fcn8s_lean",
        "legend": folder / "legend.yaml",
        "width": WIDTH,
        "to": folder / "model.safetensors",
    } | other
    weights = given.pop("weights", folder / "fcn.pth.tar")
    pairs = [(f"--{key.replace('_', '-')}", str(v)) for key, v in given.items() if v is not None]
    return ["model", "import", str(weights), *(word for pair in pairs for word in pair)]


@pytest.fixture
def refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refused:
    """The one line of a command that must fail, and leaves nothing behind."""

    def run(**other: Any) -> str:  # noqa: ANN401 any option's value
        monkeypatch.setattr(sys, "argv", ["segtasks", *words(folder, **other)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        assert (caught.value.code, out, err.count("\n")) == (1, "", 1), err
        assert not list(folder.glob("*.safetensors*"))
        return err

    return run


def test_a_foreign_checkpoint_becomes_a_model_file(folder: Path) -> None:
    command = [sys.executable, "-m", "segtasks", *words(folder, licence="MIT", note="by hand")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "network    fcn8s_lean, width 0.015625, as published" in done.stdout
    module, card = load(folder / "model.safetensors")
    assert card.bands == ("red", "green", "blue")
    # Caffe's means are blue, green, red
    assert list(card.normalisation.mean) == [122.67892, 116.66877, 104.00699]
    assert list(card.normalisation.std) == [1, 1, 1]
    assert [entry.name for entry in card.classes] == ["ground", "water"]
    assert card.licence == "MIT"
    assert card.provenance == {"weights": "fcn.pth.tar", "layout": "wkentaro", "note": "by hand"}
    assert card.halo_px == 224
    expected = convert(state(), layout="wkentaro", network="fcn8s_lean", width=WIDTH)
    assert foreign.same(dict(module.state_dict()), expected)


def test_options_beyond_the_layout_are_kept_in_the_card(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"network": "fcn8s", "variant": "{at_once: true}", "ground_resolution_m": 0.2}
    monkeypatch.setattr(sys, "argv", ["segtasks", *words(folder, **options)])
    cli.main()
    card = read_card(folder / "model.safetensors")
    assert card.variant == {"at_once": True}
    assert card.ground_resolution_m == 0.2


def test_four_bands_need_names_and_moments(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(state(bands=4), folder / "fcn.pth.tar")
    moments = {"mean": "90,80,70,60.5", "std": "1,2,3,4", "input_dtype": "uint16"}
    bands = {"bands": "red,green,blue,nir"}
    monkeypatch.setattr(sys, "argv", ["segtasks", *words(folder, **moments, **bands)])
    cli.main()
    card = read_card(folder / "model.safetensors")
    assert card.bands == ("red", "green", "blue", "nir")
    assert list(card.normalisation.mean) == [90, 80, 70, 60.5]
    assert list(card.normalisation.std) == [1, 2, 3, 4]
    assert card.normalisation.dtype == "uint16"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layout": "keras"}, "layout 'keras' is unknown; choose one of caffe"),
        ({"layout": None}, "layout: Field required"),
        ({"network": "unet"}, "network 'unet' is unknown; choose one of"),
        ({"network": "linear"}, "layout wkentaro has no weights of linear; it has fcn16s"),
        ({"width": 0.5}, "the network needs (32, 3, 3, 3); are network, width 0.5 and options"),
        ({"variant": "{atonce: true}"}, "fcn8s_lean has no option 'atonce'"),
        ({"weights": "nothing.pth"}, "nothing.pth: no such weights file"),
        ({"weights": __file__}, "weights files end in .pth"),
        ({"bands": "red,green"}, "takes 3 bands, but 2 are named (red, green); give --bands"),
        ({"mean": "1,2"}, "takes 3 bands, mean is (1.0, 2.0), std is (1.0, 1.0, 1.0); give --mean"),
        ({"std": "0,1,1"}, "std.0: Input should be greater than 0"),
        ({"legend": "nothing.yaml"}, "nothing.yaml: cannot be read"),
        ({"legend": None}, "legend: Field required"),
        ({"to": "model.pth"}, "end it with .safetensors"),
        ({"to": "/nothing/here/model.safetensors"}, "its folder does not exist; create it first"),
    ],
)
def test_bad_options_are_refused(refused: Refused, options: dict[str, Any], says: str) -> None:
    assert says in refused(**options)


@pytest.mark.parametrize(
    ("legend", "says"),
    [
        (LEGEND[:1], "legend: Tuple should have at least 2 items"),
        (
            [*LEGEND, LEGEND[1] | {"id": 2, "name": "snow"}],
            "its head has 2 classes, the legend has 3; list the",
        ),
        (
            [LEGEND[0], LEGEND[1] | {"id": 5}],
            "legend: class ids are [0, 5]; number them 0 … 1 in order\n",
        ),
        ([LEGEND[0], LEGEND[1] | {"color": "blue"}], "legend.1.color: String should match"),
        ({"ground": 0}, "legend.yaml: is not a list of classes; write lines such as"),
    ],
)
def test_bad_legends_are_refused(folder: Path, refused: Refused, legend: Any, says: str) -> None:  # noqa: ANN401 YAML
    (folder / "legend.yaml").write_text(yaml.safe_dump(legend))
    assert says in refused()


def test_four_bands_without_names_are_refused(folder: Path, refused: Refused) -> None:
    torch.save(state(bands=4), folder / "fcn.pth.tar")
    assert "takes 4 bands, but 0 are named (none); give --bands" in refused()
    assert "mean is (122.67892" in refused(bands="red,green,blue,nir")


def test_damaged_weights_are_refused(folder: Path, refused: Refused) -> None:
    path = folder / "fcn.pth.tar"
    torch.save(state() | {"score_fr.bias": torch.tensor([1.0, float("nan")])}, path)
    assert "key 'score_fr.bias' holds NaN or infinite values" in refused()
    torch.save({key: value for key, value in state().items() if key != "fc7.bias"}, path)
    assert "wkentaro fcn8s_lean: key 'fc7.bias' missing; is it a checkpoint of this" in refused()
    path.write_bytes(path.read_bytes()[:1000])
    assert "not a whole .tar file" in refused()


def test_shipped_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.cli(["model", "list"], standalone_mode=False)
    text = capsys.readouterr().out
    for name in pretrained.names():
        card = read_card(pretrained.path(name))
        assert f"{name} " in text
        assert ", ".join(entry.name for entry in card.classes) in text
        assert card.licence in text
