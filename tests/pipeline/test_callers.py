"""A job runs the same from a script, its standard input, a thread and a running event loop.

None of the scripts has a guard ``if __name__ == "__main__":``; workers must not run them again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segtasks.config.job import make_job
from segtasks.pipeline.run import segment
from tests.helpers import job_runs
from tests.helpers.paths import ROOT

SCRIPT = """
import json, sys
from pathlib import Path
from segtasks.config.job import make_job
from segtasks.pipeline.run import segment

with Path("runs.txt").open("a") as runs:
    runs.write("run ")
job = make_job(json.loads(Path("job.json").read_text()))
"""
PLAIN = "segment(job)"
IN_A_LOOP = """
import asyncio

async def main():
    segment(job)

asyncio.run(main())
"""
IN_A_THREAD = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    pool.submit(segment, job).result()
"""
AFTER_A_DEATH = """
import psutil
killed = []

def kill_a_worker(stage, done, total, px=0):
    if stage == "predict" and done and not killed:
        family = psutil.Process().children()
        server = next(each for each in family if "forkserver" in " ".join(each.cmdline()))
        killed.append(server.children()[0])
        killed[0].kill()

segment(job, kill_a_worker)
assert killed
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("callers")
    job_runs.write_photo(made / "photo.tif", 700, 900)
    job_runs.write_network(made / "model.safetensors", "fcn8s_lean", width=0.05)
    return made


@pytest.fixture(scope="module")
def mask(folder: Path) -> str:
    """Hash of the mask of a run inside one process."""
    segment(make_job(settings(folder, "inline") | {"compute": {"kind": "inline"}}))
    return job_runs.sha(folder / "inline" / "mask.tif")


def settings(folder: Path, name: str) -> dict[str, object]:
    """A job of twelve tiles for two worker processes."""
    return {
        "source": str(folder / "photo.tif"),
        "to": str(folder / name),
        "model": str(folder / "model.safetensors"),
        "tiling": {"tile_px": 256},
        "compute": {"kind": "local", "workers": 2},
    }


def python(cwd: Path, *words: str, given: str | None = None) -> str:
    """Standard output of a Python program that says nothing on standard error."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("how", ["script", "stdin", "command"])
def test_a_program_without_a_guard(folder: Path, mask: str, tmp_path: Path, how: str) -> None:
    (tmp_path / "job.json").write_text(json.dumps(settings(folder, how)))
    (tmp_path / "script.py").write_text(SCRIPT + PLAIN)
    if how == "script":
        python(tmp_path, "script.py")
    elif how == "stdin":
        python(tmp_path, "-", given=SCRIPT + PLAIN)
    else:
        python(tmp_path, "-c", SCRIPT + PLAIN)
    assert job_runs.sha(folder / how / "mask.tif") == mask
    assert (tmp_path / "runs.txt").read_text() == "run "


@pytest.mark.parametrize(
    "call", [IN_A_LOOP, IN_A_THREAD, AFTER_A_DEATH], ids=["loop", "thread", "death"]
)
def test_a_script_calls_it_from_anywhere(
    folder: Path, mask: str, tmp_path: Path, call: str
) -> None:
    (tmp_path / "job.json").write_text(json.dumps(settings(folder, tmp_path.name)))
    (tmp_path / "script.py").write_text(SCRIPT + call)
    python(tmp_path, "script.py")
    assert job_runs.sha(folder / tmp_path.name / "mask.tif") == mask
    assert (tmp_path / "runs.txt").read_text() == "run "
