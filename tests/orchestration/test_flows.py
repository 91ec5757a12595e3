"""The flows: recipes that are loaded by path, so the package ``flows`` of a user does no harm."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segtasks.orchestration.server import project_folder
from tests.helpers import job_runs
from tests.helpers.paths import ROOT
from tests.helpers.prefect_server import Server, job

FLOWS = sorted(ROOT.glob("flows/*.py"))


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_imports_segtasks_and_prefect_alone(path: Path) -> None:
    assert imported(path) - sys.stdlib_module_names <= {"segtasks", "prefect"}


def test_nothing_in_segtasks_imports_the_flows() -> None:
    assert FLOWS
    modules = ROOT.glob("segtasks/**/*.py")
    assert [path for path in modules if "flows" in imported(path)] == []


def test_a_checkout_deploys_its_own_flows() -> None:
    assert project_folder() == ROOT


def test_a_users_package_flows_is_in_nobodys_way(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    """`segtasks up` runs in this folder too: see the fixture."""
    words = [sys.executable, "-c", "import flows"]
    tried = subprocess.run(words, cwd=server.folder, capture_output=True, text=True, check=False)
    assert "the flows of a user were imported" in tried.stderr
    settings = job(inputs, tmp_path / "deployed", compute={"kind": "inline"})
    run_id = server.start("on-demand", settings)
    assert server.end_of(run_id)["state_type"] == "COMPLETED", server.log(run_id)
    source, model = Path(settings["source"]), Path(settings["model"])
    command = job_runs.command(source, tmp_path / "run", model, "--compute", "inline", "--no-crf")
    options = [f"--{key.replace('_', '-')}={value}" for key, value in settings["tiling"].items()]
    subprocess.run([*command, *options], cwd=server.folder, capture_output=True, check=True)
    masks = {job_runs.sha(tmp_path / name / "mask.tif") for name in ("deployed", "run")}
    assert len(masks) == 1
    assert job_runs.read_mask(tmp_path / "run").shape == (600, 700)
