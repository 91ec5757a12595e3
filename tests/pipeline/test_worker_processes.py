"""Worker processes know nothing of the caller's main module, and all of its environment."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from segtasks.pipeline.worker_processes import WorkerContext
from tests.helpers.paths import ROOT

SCRIPT = """
import multiprocessing
from operator import add
from segtasks.pipeline.forkserver import open_forkserver
from segtasks.pipeline.worker_processes import METHOD, WorkerContext

print(__name__)

def own():
    import os
    return os.environ.get("OMP_NUM_THREADS")

if __name__ == "__main__":
    open_forkserver()
    with multiprocessing.get_context(METHOD).Pool(1) as pool:
        print(pool.apply(add, (1, 2)))
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        print(pool.apply(own))
"""


def test_the_callers_own_processes_are_as_before(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["__main__", "3", "__mp_main__", "None"]


def test_a_process_has_the_environment_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "other"):
        monkeypatch.setenv("SEGTASKS_TEST", value)
        with ProcessPoolExecutor(1, mp_context=WorkerContext()) as pool:
            assert pool.submit(os.getenv, "SEGTASKS_TEST").result() == value
    monkeypatch.delenv("SEGTASKS_TEST")
    with ProcessPoolExecutor(1, mp_context=WorkerContext()) as pool:
        assert pool.submit(os.getenv, "SEGTASKS_TEST").result() is None
