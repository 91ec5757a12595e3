"""The command: a table, files, and a fragment for a job; one line for every mistake."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from segtasks.cli import cli
from segtasks.config.job import make_job
from segtasks.crf import CrfParameters
from segtasks.errors import SegtasksError
from segtasks.evaluation.crf_tuning.publish_settings import best
from segtasks.evaluation.crf_tuning.scores import figures
from segtasks.evaluation.crf_tuning.tune import tune
from segtasks.planning.crf_windows import parameters_of
from segtasks.raster.grid import Window
from segtasks.storage import workspace
from tests.helpers.kept import HEIGHT, WIDTH, Kept

QUICK = ("--windows", "4", "--window-px", "64", "--trials", "4", "--bi-xy-std", "2,6")


def command(*words: object) -> Result:
    return CliRunner().invoke(cli, ["crf-tune", *map(str, words)])


def refused(*words: object) -> str:
    """Run a command that must fail, and return its one line of output."""
    error = command(*words).exception
    assert isinstance(error, SegtasksError), error
    assert "\n" not in str(error)
    return str(error)


def test_the_table_and_the_files(kept: Kept, tmp_path: Path) -> None:
    words = (kept.workspace, kept.labels, *QUICK, "--to", tmp_path)
    done = command(*words)
    assert done.exit_code == 0, done.exception
    lines = done.stdout.splitlines()
    assert lines[0] == "2 windows to tune on, 2 held out"
    assert [line.split()[0] for line in lines[3:7]] == ["no", "kraehenbuehl", "deeplab", "aerial"]
    found = json.loads((tmp_path / "crf-tune.json").read_text())
    assert found["advice"] in lines
    assert len((tmp_path / "crf-tune.csv").read_text().splitlines()) == 1 + len(found["rows"]) == 6
    assert Image.open(tmp_path / "crf-tune.png").width > 800
    fragment = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert fragment == {"crf": found["crf"]}
    assert "already exists" in refused(*words)


def test_json_is_one_object(kept: Kept) -> None:
    found = json.loads(command(kept.workspace, kept.labels, *QUICK, "--json").stdout)
    assert found["rows"][0]["setting"] == "no CRF"
    assert found["rows"][0]["iterations"] is None


def test_a_manifest_and_pairs_are_pooled(kept: Kept, tmp_path: Path) -> None:
    listed = tmp_path / "pairs.csv"
    listed.write_text(f"workspace,labels\n{kept.workspace},{kept.labels}\n")
    words = ("--manifest", listed, "--pair", kept.workspace, kept.labels)
    found = json.loads(command(*words, *QUICK, "--windows", 8, "--json").stdout)
    assert sum(map(len, found["windows"].values())) == 8


def test_the_fragment_is_the_setting_to_take(kept: Kept) -> None:
    found = figures(tune(kept.job(trials=4)))
    row = next(row for row in found["rows"] if row["setting"] == found["setting"])
    keys = CrfParameters.__dataclass_fields__.keys() - {"compatibility"}
    part = {key: row[key] for key in keys}
    job = make_job({"source": "a.tif", "to": "o", **yaml.safe_load(best(found | {"crf": part}))})
    assert job.crf is not None
    card: Any = type("Card", (), {"classes": range(6)})
    assert parameters_of(job.crf, card) == CrfParameters(**part)
    nothing = yaml.safe_load(best(found | {"crf": None}))
    assert make_job({"source": "a.tif", "to": "o", **nothing}).crf is None


@pytest.fixture
def copied(kept: Kept, tmp_path: Path) -> Path:
    """A copy of the workspace that the test may damage."""
    return Path(shutil.copytree(kept.workspace, tmp_path / "copy"))


def write_labels(path: Path, value: int, height: int = HEIGHT, width: int = WIDTH) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": height, "width": width}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.full((1, height, width), value, np.uint8))
    return path


def test_nothing_labelled(kept: Kept, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "void.tif", 255)
    assert "void.tif: no pixel with data is labelled" in refused(kept.workspace, labels, *QUICK)


def test_too_few_windows(kept: Kept) -> None:
    says = refused(kept.workspace, kept.labels)
    assert "1 window(s) have labels, tuning needs 4, some of them held out; give a smaller" in says


def test_labels_of_another_size(kept: Kept, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "small.tif", 1, height=40)
    assert "small.tif" in refused(kept.workspace, labels, *QUICK)


def test_no_workspace(kept: Kept, tmp_path: Path) -> None:
    says = refused(tmp_path / "none", kept.labels)
    assert "is no workspace; give one that was kept by segtasks run --keep-workspace" in says


@pytest.mark.parametrize("said", [{}, {"contents": {"colour_range": [0, 255]}}])
def test_a_workspace_of_an_older_version(kept: Kept, copied: Path, said: dict[str, object]) -> None:
    workspace.write_manifest(str(copied), {"fingerprints": {}, **said})
    assert "copy: has no valid description of its contents" in refused(copied, kept.labels)


def test_no_probabilities(kept: Kept, copied: Path) -> None:
    shutil.rmtree(copied / "probabilities")
    assert "copy: has no probabilities" in refused(copied, kept.labels)


def test_unfinished_probabilities(kept: Kept, copied: Path) -> None:
    whole = Window(0, 0, HEIGHT, WIDTH)
    workspace.write(str(copied), "probabilities", whole, np.zeros((6, HEIGHT, WIDTH), np.float16))
    assert "has pixels without probabilities" in refused(copied, kept.labels, *QUICK)


def test_another_number_of_classes(kept: Kept) -> None:
    says = refused(kept.workspace, kept.labels, "--class", "land", "--class", "house")
    assert "the legend has 2: land, house" in says


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--bi-xy-std", "0,40"), "search.bi_xy_std.0: Input should be greater than or equal to"),
        (("--trials", "1"), "trials: Input should be greater than or equal to 3 (got 1)"),
        (("--windows", "2"), "windows: Input should be greater than or equal to 4"),
        (("--objective", "speed"), "objective: Input should be 'mean_iou', 'boundary_f' or 'both'"),
        (("--method", "grid", "--trials", "3"), "raise --trials to"),
    ],
)
def test_invalid_settings(kept: Kept, words: tuple[str, ...], says: str) -> None:
    assert says in refused(kept.workspace, kept.labels, *words)


def test_nothing_given() -> None:
    assert "pairs" in refused()
    assert "no LABELS given" in refused("somewhere")
