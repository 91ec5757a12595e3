"""The wheel in use: outside the checkout, in a folder where a user has a package ``flows``."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import job_runs
from tests.helpers.prefect_server import job, segtasks_up, write_foreign_flows
from tests.helpers.wheels import Installed, bare

WITHOUT = """
import sys
sys.modules |= dict.fromkeys({modules!r})  # None: an import fails, as if it were not installed
from segtasks.cli import main
sys.argv[0] = "segtasks"
main()
"""
EXTRAS = ("prefect", "kornia", "matplotlib", "optuna", "onnxruntime", "geopandas", "pydensecrf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A current folder with the flows of a user."""
    write_foreign_flows(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def without_extras(
    installed: Installed, folder: Path, *words: str
) -> "subprocess.CompletedProcess[str]":
    """Run segtasks as if none of its extras were installed."""
    code = WITHOUT.format(modules=EXTRAS)
    command = [str(installed.python), "-c", code, *words]
    return subprocess.run(
        command, cwd=folder, env=bare(), capture_output=True, text=True, check=False
    )


def test_it_is_the_wheel_that_runs(installed: Installed, folder: Path) -> None:
    code = "import segtasks, segtasks.orchestration.server as s; print(s.project_folder())"
    words = [str(installed.python), "-c", code]
    done = subprocess.run(words, cwd=folder, env=bare(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(installed.packages / "segtasks" / "deployments")


def test_a_run_and_a_deployment_make_the_same_mask(
    installed: Installed, inputs: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    settings = job(inputs, tmp_path / "run", compute={"kind": "inline"})
    (tmp_path / "job.yaml").write_text(json.dumps(settings))
    words = [str(installed.command), "run", "--job", str(tmp_path / "job.yaml")]
    subprocess.run(words, cwd=folder, env=bare(), capture_output=True, check=True)
    home = tmp_path / "prefect"
    home.mkdir()
    with segtasks_up([str(installed.command)], bare(), home, folder) as server:
        run_id = server.start("on-demand", settings | {"to": str(tmp_path / "deployed")})
        assert server.end_of(run_id)["state_type"] == "COMPLETED", server.log(run_id)
    masks = {job_runs.sha(tmp_path / name / "mask.tif") for name in ("run", "deployed")}
    assert len(masks) == 1
    assert job_runs.read_mask(tmp_path / "run").shape == (600, 700)


def test_a_run_needs_no_extra(
    installed: Installed, inputs: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    settings = job(inputs, tmp_path / "out", compute={"kind": "inline"}) | {"crf": {}}
    (tmp_path / "job.yaml").write_text(json.dumps(settings))
    done = without_extras(installed, folder, "run", "--job", str(tmp_path / "job.yaml"))
    assert done.returncode == 0, done.stderr
    assert job_runs.read_mask(tmp_path / "out").shape == (600, 700)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["up"], "`segtasks up` needs prefect; pip install 'segtasks[prefect]'"),
        (
            ["train", "--pair", "a", "b", "--val", "a", "b", "--class", "x", "--class", "y"],
            "training needs kornia, matplotlib; pip install 'segtasks[train]'",
        ),
        (
            ["evaluate", "a.tif", "b.tif", "--to", "page"],
            "a page of an evaluation needs matplotlib; pip install 'segtasks[evaluate]'",
        ),
        (
            ["crf-tune", "a", "b.tif", "--to", "page"],
            "a chart of CRF settings needs matplotlib; pip install 'segtasks[tune]'",
        ),
    ],
    ids=["up", "train", "evaluate", "crf-tune"],
)
def test_what_needs_an_extra_says_so_in_one_line_before_it_starts(
    installed: Installed, folder: Path, words: list[str], says: str
) -> None:
    out = ["--to", "m.safetensors"] if words[0] == "train" else []
    done = without_extras(installed, folder, *words, *out)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"segtasks: {says}\n")


def test_doctor_finds_a_plain_installation_sound(installed: Installed, folder: Path) -> None:
    done = without_extras(installed, folder, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    prefect    is not installed" in done.stdout
