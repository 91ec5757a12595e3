"""The SLURM jobs: what dask-jobqueue would hand to sbatch, and a run where sbatch is this machine.

The stand-ins for sbatch and scancel start and end the job script as a process: they are a machine
with one node and no queue.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from segtasks.config.job import Job, make_job
from segtasks.pipeline.run import segment
from tests.helpers import job_runs
from tests.helpers.checkout import INFRA, documents

SBATCH = """#!/bin/sh
script=$(cat "$1")  # the file is gone as soon as this ends
setsid bash -c "$script" > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job; do kill -TERM "-$job"; done
"""
SMALL = {"cores": 2, "memory": "2 GiB", "interface": "lo", "queue": "cpu", "processes": 1}


def example(name: str) -> dict[str, Any]:
    return documents(INFRA / "slurm" / f"{name}.yaml")[0]


def script(job: Job) -> str:
    """What dask-jobqueue makes of a job."""
    slurm = pytest.importorskip("dask_jobqueue").SLURMCluster
    with slurm(**job.compute.cluster_kwargs, interface="lo") as cluster:
        text: str = cluster.job_script()
    return text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cpu", ["-p cpu", "--cpus-per-task=2", "--mem=6G", "-t 04:00:00", "--nthreads 2"]),
        ("gpu", ["-p gpu", "--gres=gpu:1", "--resources GPU=1,CPU=1", "--nthreads 4"]),
    ],
)
def test_the_job_script(name: str, words: list[str]) -> None:
    job = make_job(example(name))
    assert job.compute.cluster_class == "dask_jobqueue.SLURMCluster"
    made = script(job)
    assert [word for word in words if word not in made] == []
    assert "export OMP_NUM_THREADS=1" in made
    assert "--lifetime 225m" in made


def test_a_run_on_workers_that_sbatch_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    job = example("cpu") | {
        "source": str(job_runs.write_photo(tmp_path / "a.tif", 100, 120)),
        "model": str(job_runs.write_network(tmp_path / "m.safetensors", "linear", width=1.0)),
        "crf": None,
    }
    masks = []
    for kind in ("cluster", "inline"):
        compute = job["compute"] | {"kind": kind, "workers": 1, "cluster_kwargs": SMALL}
        segment(make_job(job | {"to": str(tmp_path / kind), "compute": compute}))
        masks.append(job_runs.sha(tmp_path / kind / "mask.tif"))
    assert masks[0] == masks[1]
