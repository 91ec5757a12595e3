"""The Dockerfile: by its own linter, and what its build is given is what it needs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from docker.utils.build import exclude_paths

from tests.helpers.checkout import INFRA, tool
from tests.helpers.paths import ROOT

DOCKERFILE = INFRA / "Dockerfile"
SOURCES = ("flows/", "segtasks/")


def instructions() -> list[list[str]]:
    """The Dockerfile's instructions as words, without comments and line ends."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line]


def context() -> set[str]:
    """The files that a build is given, by Docker's own rules."""
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    found = exclude_paths(str(ROOT), patterns, dockerfile="infra/Dockerfile")
    return {path for path in found if (ROOT / path).is_file()}


def tracked() -> set[str]:
    """The files that git has."""
    words = ["git", "ls-files"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    return set(listed.stdout.splitlines())


def test_its_linter_finds_nothing() -> None:
    words = [tool("hadolint"), "--failure-threshold", "style", str(DOCKERFILE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_build_is_given_the_sources_and_nothing_else() -> None:
    given = context()
    assert {name for name in tracked() if name.startswith(SOURCES)} <= given
    others = {name for name in given if not name.startswith(SOURCES)} - {
        "infra/Dockerfile",
        ".dockerignore",
    }
    kept = {"LICENSE", "MANIFEST.in", "README.md", "constraints.txt", "prefect.yaml"}
    assert others == kept | {"pyproject.toml", "setup.py"}


def test_every_base_has_its_version() -> None:
    stages = {words[3] for words in instructions() if words[0] == "FROM"}
    bases = {words[1] for words in instructions() if words[0] == "FROM"} - stages
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases), bases


def test_both_targets_run_as_a_user_and_hold_the_compiled_part() -> None:
    users = [words[1] for words in instructions() if words[0] == "USER"]
    assert users == ["1000:1000"]  # in numbers, or Kubernetes cannot tell that it is not root
    text = DOCKERFILE.read_text()
    for target in ("cpu", "cuda"):
        assert f"FROM runtime AS {target}\n" in text
        assert f"COPY --from=environment-{target} /opt/venv /opt/venv" in text
    assert text.count("segtasks.crf.native._field") == 2


@pytest.mark.slow
def test_the_context_alone_builds_a_wheel_with_the_compiled_part(tmp_path: Path) -> None:
    for name in context():
        target = tmp_path / "context" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path)]
    subprocess.run([*words, str(tmp_path / "context")], capture_output=True, check=True)
    (wheel,) = tmp_path.glob("segtasks-*.whl")
    held = "\n".join(ZipFile(wheel).namelist())
    for part in (
        r"crf/native/_field\S*\.so",
        r"pretrained_files/demo\.safetensors",
        r"templates/\S+\.html",
        r"deployments/prefect\.yaml",
    ):
        assert re.search(part, held), part
