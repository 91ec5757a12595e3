"""An sdist and a wheel of this checkout, and an environment with nothing of the checkout in it."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.wheels import Installed, bare

SOURCES = (
    *("LICENSE", "MANIFEST.in", "README.md", "constraints.txt", "prefect.yaml"),
    *("pyproject.toml", "setup.py", "flows", "segtasks", "tests"),
)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `python -m build` makes of a clean copy of the sources."""
    folder = tmp_path_factory.mktemp("build")
    old = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=old)
        else:
            shutil.copy(ROOT / name, folder / name)
    words = [sys.executable, "-m", "build", "--no-isolation", str(folder)]
    done = subprocess.run(words, env=bare(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "dist"


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The only wheel."""
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own, which borrows the packages that it requires."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # The .pth files of a borrowed folder are not read, so an editable segtasks is not found there.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    # --ignore-installed: pip must not remove an editable segtasks from the borrowed folder.
    subprocess.run(
        [*pip, "--no-deps", "--no-index", "--ignore-installed", str(wheel)], env=bare(), check=True
    )
    return Installed(python, folder / "bin" / "segtasks", packages)
