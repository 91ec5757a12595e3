"""The public names: complete, documented, and cheap until they are used."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

import segtasks
from tests.helpers import job_runs

HEAVY_BUT_RASTERS = ("torch", "prefect", "dask", "distributed", "matplotlib")
HEAVY = (*HEAVY_BUT_RASTERS, "rasterio", "zarr")
FUNCTIONS = ("evaluate", "import_weights", "plan", "segment", "segment_batch", "train", "tune_crf")


def fresh(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_the_names_are_all_listed_and_documented() -> None:
    assert dir(segtasks) == sorted(segtasks.__all__)
    for name in set(segtasks.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(segtasks, name)), name
    assert segtasks.__version__ == version("segtasks")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_returns_and_raises(name: str) -> None:
    function = getattr(segtasks, name)
    text = inspect.getdoc(function) or ""
    assert all(f"\n{part}:\n" in text for part in ("Args", "Returns", "Raises"))
    first, *others = inspect.signature(function).parameters
    assert first == "job"
    assert all(f"    {key}: " in text for key in others)


def test_a_type_checker_sees_the_same_names() -> None:
    tree = ast.parse(Path(segtasks.__file__).read_text())
    block = next(each for each in tree.body if isinstance(each, ast.If))
    seen = {
        alias.asname or alias.name: f"{each.module}:{alias.name}"
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    assert {name.replace(":", "."): seen[name].replace(":", ".") for name in seen} == {
        name: home.replace(":", ".")
        for name, home in segtasks._HOMES.items()  # noqa: SLF001 - the two lists are to agree
    }
    assert set(segtasks.__all__) == {*seen, "__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'segtasks' has no attribute 'segmnt'"):
        segtasks.segmnt  # type: ignore[attr-defined] # noqa: B018 - the attribute is the test


def test_the_import_is_quick() -> None:
    program = (
        "import time; t = time.perf_counter(); import segtasks; print(time.perf_counter() - t)"
    )
    assert min(float(fresh(program)) for _ in range(3)) < 0.2


@pytest.mark.parametrize(
    ("names", "absent"),
    [
        ([name for name in segtasks.__all__ if name.endswith("Job")], HEAVY),
        (["errors", "networks", "crf", "__version__"], HEAVY),
        # They read rasters; torch and Dask wait for a call that needs them.
        (["Result", "segment", "segment_batch", "plan", "evaluate", "tune_crf"], HEAVY_BUT_RASTERS),
        (["train", "import_weights"], ("prefect", "dask", "distributed")),
    ],
)
def test_a_name_imports_no_more_than_it_needs(names: list[str], absent: Sequence[str]) -> None:
    uses = "; ".join(f"segtasks.{name}" for name in names)
    program = f"import json, sys, segtasks; {uses}; print(json.dumps([*sys.modules]))"
    assert not set(json.loads(fresh(program))) & set(absent)


def test_jobs_are_made_by_keywords() -> None:
    job = segtasks.Job(source="a.tif", to="out/", tiling={"tile_px": 512})
    assert (job.to, job.tiling.tile_px) == ("out", 512)
    with pytest.raises(ValidationError, match="off the lattice, not a multiple of 64"):
        segtasks.Job(source="a.tif", to="out", tiling={"tile_px": 500})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs below ``in``, and a model."""
    made = tmp_path_factory.mktemp("api")
    (made / "in").mkdir()
    for name, width in (("a", 300), ("b", 200)):
        job_runs.write_photo(made / "in" / f"{name}.tif", 256, width)
    job_runs.write_network(made / "model.safetensors", "fcn8s_lean", width=0.05)
    return made


def job_of(folder: Path, to: str) -> segtasks.Job:
    return segtasks.Job(
        source=str(folder / "in" / "a.tif"),
        to=str(folder / to),
        model=str(folder / "model.safetensors"),
    )


def test_plan_then_segment_then_evaluate(folder: Path) -> None:
    job = job_of(folder, "one")
    assert "state      to do" in str(segtasks.plan(job))
    stages: set[str] = set()
    result = segtasks.segment(job, on_progress=lambda stage, *_: stages.add(stage))
    assert {"predict", "refine", "write"} <= stages
    assert isinstance(result, segtasks.Result)
    assert str(result) == "\n".join(result.lines())
    assert segtasks.plan(job).published
    with rasterio.open(result.urls["mask"]) as mask:
        labels = mask.read(1)
    assert {str(i): n for i, n in enumerate(np.bincount(labels.ravel(), minlength=4))} == {
        name.removeprefix("class "): px for name, px in result.class_px.items()
    }
    pair = {"mask": result.urls["mask"], "labels": result.urls["mask"]}
    page = str(folder / "page")
    found = segtasks.evaluate(segtasks.EvaluationJob.model_validate({"pairs": [pair], "to": page}))
    assert found["mean_iou"] == 1
    assert Path(found["urls"]["evaluation.html"]).is_file()


def test_a_result_is_shown_as_text(folder: Path) -> None:
    class Printer:
        def text(self, text: str) -> None:
            self.shown = text

    printer = Printer()
    result = segtasks.segment(job_of(folder, "one"))
    result._repr_pretty_(printer, cycle=False)
    assert printer.shown == str(result)


def test_a_batch_is_a_table(folder: Path) -> None:
    (folder / "in" / "c.tif").write_bytes(b"no raster")
    job = segtasks.BatchJob(
        source=str(folder / "in"),
        to=str(folder / "many"),
        model=str(folder / "model.safetensors"),
    )
    rows = segtasks.segment_batch(job)
    assert [row["status"] for row in rows] == ["done", "done", "failed"]
    assert "c.tif" in rows[2]["error"]
    assert [row["status"] for row in segtasks.segment_batch(job)][:2] == ["was done already"] * 2


def test_errors_are_caught_by_their_base() -> None:
    assert isinstance(segtasks.errors, ModuleType)
    with pytest.raises(segtasks.errors.SegtasksError, match=r"none\.tif"):
        segtasks.segment(segtasks.Job(source="none.tif", to="out"))
