"""What `python -m build` makes: one wheel for all versions of Python, with all that is used."""

import subprocess
import sys
import tarfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from segtasks.networks import pretrained
from tests.helpers.paths import ROOT

ORDERED = {"dask", "torch", "zarr", "rasterio", "s3fs"}
OPTIONAL = {"prefect", "fastapi", "sqlalchemy", "kornia", "matplotlib", "pydensecrf2", "optuna"}
APART = {"dev", "kubernetes", "pydensecrf"}


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The files in the wheel."""
    return set(ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def requirements(metadata: Message, extra: str = "") -> set[str]:
    """The names of what is required, with an extra or without one."""
    needs = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    return {
        need.name for need in needs if not need.marker or need.marker.evaluate({"extra": extra})
    }


def test_one_wheel_is_tagged_for_all_versions_from_3_11_on(dist: Path) -> None:
    sdist, wheel = sorted(path.name for path in dist.iterdir())[::-1]
    assert sdist == "segtasks-0.1.0.tar.gz"
    assert wheel.startswith("segtasks-0.1.0-cp311-abi3-")


def test_its_extension_uses_nothing_but_the_stable_abi(wheel: Path, names: set[str]) -> None:
    if not any(name.endswith(".so") for name in names):
        pytest.skip("no C++ compiler is here: the wheel has no extension")
    words = [sys.executable, "-m", "abi3audit", "--strict", str(wheel)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_has_the_deployments_and_every_data_file(names: set[str]) -> None:
    flows = {f"segtasks/deployments/flows/{path.name}" for path in ROOT.glob("flows/*.py")}
    assert {name for name in names if "/flows/" in name} == flows
    folder = ROOT / "segtasks"
    templates = {str(path.relative_to(ROOT)) for path in folder.glob("outputs/templates/*.*")}
    models = {
        f"segtasks/networks/pretrained_files/{name}.safetensors" for name in pretrained.names()
    }
    assert templates
    assert models
    assert names >= templates | models | {"segtasks/deployments/prefect.yaml", "segtasks/py.typed"}


def test_the_wheel_has_one_package_and_no_tests_or_sources_of_the_extension(
    names: set[str],
) -> None:
    assert {name.partition("/")[0] for name in names} == {"segtasks", "segtasks-0.1.0.dist-info"}
    assert [name for name in names if "test" in name.lower()] == []
    assert [name for name in names if name.endswith((".cpp", ".h"))] == []


def test_every_module_of_the_package_is_in_the_wheel(names: set[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for path in ROOT.glob("segtasks/**/*.py")}
    assert modules <= names


def test_the_sdist_has_all_that_a_wheel_is_built_from(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    native = ROOT / "segtasks" / "crf" / "native"
    parts = [*ROOT.glob("flows/*.py"), *native.glob("*.cpp"), *native.glob("*.h")]
    assert {str(each.relative_to(ROOT)) for each in parts} <= found
    assert {"prefect.yaml", "setup.py", "constraints.txt"} <= found
    assert [name for name in found if name.startswith("tests")] == []


def test_a_plain_installation_brings_what_a_run_needs_and_no_more(metadata: Message) -> None:
    core = requirements(metadata)
    assert core >= ORDERED
    assert core.isdisjoint(OPTIONAL)


def test_the_extra_all_brings_every_extra_but_two(metadata: Message) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    (need,) = (
        need
        for need in map(Requirement, metadata.get_all("Requires-Dist", []))
        if need.name == "segtasks"
    )
    assert need.extras == extras - APART - {"all"}
    assert requirements(metadata, "prefect") >= {"prefect", "fastapi", "sqlalchemy"}
