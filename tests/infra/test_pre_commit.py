"""The hooks of pre-commit: valid, and the same commands as `make lint`."""

import os
import subprocess
import sys

import yaml

from tests.helpers.paths import ROOT

CONFIG = ROOT / ".pre-commit-config.yaml"


def test_the_hooks_run_what_make_lint_runs() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/ready", "lint"]
    # Variables of a `make` that runs this test are not passed on.
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    recipe = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    (local,) = yaml.safe_load(CONFIG.read_text())["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == recipe.stdout.splitlines()
    assert not any(hook["pass_filenames"] for hook in local["hooks"])


def test_pre_commit_takes_the_file() -> None:
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", CONFIG], check=True)
