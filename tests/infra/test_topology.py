"""The topology of compose.yaml, its own commands and health checks, as processes on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segtasks.config.job import make_job
from segtasks.pipeline.executors import QUEUED, open_executors
from segtasks.pipeline.run import segment
from segtasks.planning.plan import Stage
from segtasks.planning.planner import make_plan
from segtasks.planning.worker import TILES_IN_FLIGHT
from segtasks.storage import object_store, receipts
from tests.helpers import job_runs
from tests.helpers.compose_file import Here, here
from tests.helpers.postgres_server import PASSWORD, Postgres, postgres  # noqa: F401 - a fixture
from tests.helpers.swift_server import ACCESS_KEY, SECRET_KEY, ObjectStore

VALUES = {"S3_ACCESS_KEY": ACCESS_KEY, "S3_SECRET_KEY": SECRET_KEY, "POSTGRES_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def cluster(swift: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """A scheduler, a worker with a GPU and one without; here both are processes on a CPU."""
    folder = tmp_path_factory.mktemp("cluster")
    with here(VALUES | {"S3_ENDPOINT": swift.endpoint}, folder) as started:
        started.start("scheduler", "cpu-worker", "gpu-worker")
        yield started


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A photo of two tiles and a model file, which all workers can read."""
    folder = tmp_path_factory.mktemp("inputs")
    photo = job_runs.write_photo(folder / "photo.tif", 200, 400, nodata_rows=20)
    model = job_runs.write_network(folder / "m.safetensors", "fcn8s_lean", width=0.05)
    tiling = {"tile_px": 256, "patch_px": 256, "overlap_px": 128}
    return {"source": str(photo), "model": str(model), "tiling": tiling, "keep_workspace": True}


def on(cluster: Here) -> dict[str, str]:
    """Settings of a job that the cluster does."""
    return {"kind": "address", "address": cluster.translated("tcp://scheduler:8786")}


def workers_of(settings: dict[str, Any], stage: Stage) -> set[str]:
    """Who did the tiles of a stage."""
    plan = make_plan(make_job(settings))
    url, fingerprint = plan.job.workspace_url, plan.fingerprints[stage]
    return {receipt.worker for receipt in receipts.read_all(url, fingerprint, stage)}


def test_two_kinds_of_worker_make_the_same_bytes_as_one_process(
    cluster: Here, inputs: dict[str, Any], tmp_path: Path
) -> None:
    inline, two = tmp_path / "inline", tmp_path / "two"
    segment(make_job(inputs | {"to": str(inline), "compute": {"kind": "inline"}}))
    settings = inputs | {"to": str(two), "compute": on(cluster)}
    segment(make_job(settings))
    assert job_runs.sha(two / "mask.tif") == job_runs.sha(inline / "mask.tif")
    readers, forwarders = workers_of(settings, "ingest"), workers_of(settings, "predict")
    assert len(forwarders) == 1
    assert not readers & forwarders
    assert not workers_of(settings, "refine") & forwarders


def test_workers_that_come_later_are_kept_busy_too(
    cluster: Here, inputs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segtasks.pipeline.executors.COUNT_SECONDS", 0.0)
    plan = make_plan(make_job(inputs | {"to": str(tmp_path), "compute": on(cluster)}))
    with open_executors(plan) as tiles:
        before = tiles.in_flight()
        cluster.start("cpu-worker")
        assert tiles.in_flight() == before + (1 + QUEUED) * TILES_IN_FLIGHT


@pytest.mark.slow
def test_a_run_of_a_server_on_postgresql_from_s3_to_s3(
    s3: ObjectStore,
    cluster: Here,
    postgres: Postgres,  # noqa: F811 - the fixture
    inputs: dict[str, Any],
) -> None:
    cluster.ports["5432"] = postgres.port
    cluster.start("server")
    cluster.start("worker")
    cluster.run("deploy")
    object_store.put_file(Path(inputs["source"]), f"{s3.url}/photo.tif")
    settings = inputs | {"source": f"{s3.url}/photo.tif", "to": f"{s3.url}/two"}
    run = ["prefect", "deployment", "run", "segment/on-demand", "--watch"]
    given = json.dumps({"job": settings | {"compute": on(cluster)}})
    cluster.run("deploy", *run, "--params", given)
    inline = settings | {"to": f"{s3.url}/inline", "compute": {"kind": "inline"}}
    segment(make_job(inline))
    masks = {object_store.read_bytes(f"{s3.url}/{to}/mask.tif") for to in ("two", "inline")}
    assert len(masks) == 1
    states = "select string_agg(name || ' ' || state_type, ', ') from flow_run"
    assert postgres.ask(states) == "segment photo.tif with m COMPLETED"
