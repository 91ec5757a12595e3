"""The command `segtasks train` and its output."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from segtasks.cli.training import train
from segtasks.errors import JobError
from segtasks.training.synthetic import LEGEND


@pytest.fixture
def words(scene: Path, tmp_path: Path) -> list[str]:
    pair = [str(scene), "{parent}/{stem}_label.tif"]
    classes = [word for name, color in LEGEND for word in ("--class", f"{name}={color}")]
    out = ["--to", str(tmp_path / "model.safetensors")]
    return ["--pair", *pair, "--val", *pair, *classes, *out, "--crop-px", "32", "--batch", "2"]


LINEAR = ["--network", "linear", "--iterations", "3"]


def test_its_first_lines_are_the_settings(words: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(train, [*words, *LINEAR, "--json", "--loss-scales", "1"])
    assert done.exit_code == 0, done.output
    lines = done.stderr.splitlines()
    assert [line.split()[0] for line in lines[:5]] == [
        "network",
        "recipe",
        "optimizer",
        "loss",
        "crops",
    ]
    assert "scratch (ours, for random weights)" in lines[1]
    assert "learning rate 0.002 (poly 0.9; new layers x1, biases x1), weight decay 0.01" in lines[2]
    assert lines[5].startswith("iteration 3/3  loss ")
    found = json.loads(done.stdout)
    assert found["curves"] == [f"{tmp_path}/model.curves.{kind}" for kind in ("csv", "png")]
    assert all(Path(name).stat().st_size for name in found["curves"])


def test_it_lists_the_weights_from_init_and_the_new_ones(words: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(train, [*words, *LINEAR]).exit_code == 0
    first = (tmp_path / "model.safetensors").rename(tmp_path / "first.safetensors")
    begun = [*words, *LINEAR, "--init", str(first), "--loss", "cross_entropy+dice"]
    done = CliRunner().invoke(train, [*begun, "--accumulate", "2", "--patience", "1"])
    assert done.exit_code == 0, done.output
    text = done.stderr
    assert f"init       {first}: 2 tensors (24 parameters) taken" in text
    assert "left in the file: nothing" in text
    assert "new here: nothing" in text
    assert "recipe     scratch (ours" in text
    assert "loss       cross_entropy+dice, classes equal" in text


def test_a_batch_that_does_not_divide_is_refused_before_work(words: list[str]) -> None:
    done = CliRunner().invoke(train, [*words, *LINEAR, "--accumulate", "3"])
    assert isinstance(done.exception, JobError)
    assert "batch 2 does not divide into 1 processes x 3 parts" in str(done.exception)
