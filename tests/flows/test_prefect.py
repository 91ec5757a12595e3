"""A real Prefect server, work pool, worker and deployments, as `segtasks up` starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import job_runs
import masks
import psutil
import pytest

TILING = {"tile_px": 256, "patch_px": 256, "overlap_px": 128}
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def answered(request: urllib.request.Request, tries: int = 10) -> bytes:
    """The answer's body. 503 is Prefect's word for "try again": its SQLite was locked for a moment.

    Prefect's own client does the same; nothing was stored when it says so.
    """
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own http
            body: bytes = answer.read()
            return body
    except HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE or tries == 1:
            raise
    time.sleep(1)
    return answered(request, tries - 1)


class Server:
    """Calls of Prefect's REST API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api"

    def call(self, path: str, body: object = None, method: str = "POST") -> Any:  # noqa: ANN401
        """Send JSON, take JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own http
            self.url + path, data, {"content-type": "application/json"}, method=method
        )
        text = answered(request)
        return json.loads(text) if text else None

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment by name."""
        found: list[dict[str, Any]] = self.call("/deployments/filter", {})
        return next(each for each in found if each["name"] == name)

    def start(self, name: str, job: dict[str, Any]) -> str:
        """Trigger a deployment with the form's parameters; the run's id."""
        deployment = self.deployment(name)["id"]
        body = {"parameters": {"job": job}, "state": {"type": "SCHEDULED"}}
        run: dict[str, Any] = self.call(f"/deployments/{deployment}/create_flow_run", body)
        return str(run["id"])

    def end_of(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        """The run when it has ended."""
        end = time.monotonic() + seconds
        while True:
            run: dict[str, Any] = self.call(f"/flow_runs/{run_id}", method="GET")
            if run["state_type"] in ENDED:
                return run
            assert time.monotonic() < end, run["state"]
            time.sleep(0.5)

    def log(self, run_id: str) -> str:
        """All messages of a run."""
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
        return "\n".join(each["message"] for each in self.call("/logs/filter", body))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    environment = {**os.environ, "PREFECT_HOME": str(home)}
    words = [sys.executable, "-m", "segtasks", "up", "--port", str(port)]
    log = (home / "up.log").open("w")
    process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def is_up() -> bool:
        assert process.poll() is None, (home / "up.log").read_text()[-3000:]
        return "segtasks is up" in (home / "up.log").read_text()

    job_runs.wait_until(is_up, 180)
    family = psutil.Process(process.pid).children(recursive=True)
    yield Server(port)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert [child for child in family if child.is_running() and child.status() != "zombie"] == []


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "incoming").mkdir()
    job_runs.write_photo(folder / "incoming" / "a.tif", 600, 700)
    model = job_runs.write_network(folder / "m.safetensors", "fcn8s_lean", width=0.05)
    return {"folder": folder, "model": str(model)}


def job(inputs: dict[str, Any], to: Path, **settings: object) -> dict[str, Any]:
    paths = {"source": str(inputs["folder"] / "incoming" / "a.tif"), "to": str(to)}
    return {**paths, "model": inputs["model"], "crf": None, "tiling": TILING, **settings}


def test_the_form_reads_well(server: Server) -> None:
    schema = server.deployment("on-demand")["parameter_openapi_schema"]
    parts = schema["definitions"]
    assert parts["Job"]["required"] == ["source", "to"]
    for name in ("Job", "Tiling", "Inference", "Crf", "Outputs", "Compute", "Limits"):
        for key, field in parts[name]["properties"].items():
            assert field.get("description") or "$ref" in json.dumps(field), (name, key)
    assert parts["Compute"]["properties"]["kind"]["enum"][0] == "auto"
    assert parts["Crf"]["properties"]["iterations"]["maximum"] == 100


def test_the_on_demand_deployment_over_rest(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    local = {"kind": "local", "workers": 2}
    run_id = server.start("on-demand", job(inputs, tmp_path, compute=local))
    run = server.end_of(run_id)
    assert run["state_type"] == "COMPLETED", server.log(run_id)
    assert run["name"] == "segment a.tif"
    assert job_runs.read_mask(tmp_path).shape == (600, 700)
    body = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    kinds = {each["key"]: each["type"] for each in server.call("/artifacts/filter", body)}
    assert kinds["predict"] == "progress"
    assert kinds["classes"] == "table"
    assert kinds["quicklook"] == "image"
    tasks = server.call("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    assert {task["name"] for task in tasks} == {"ingest", "predict", "write"}
    assert "predict tile (2, 2) done" in server.log(run_id)  # said by a Dask worker


def test_masks_are_evaluated_over_rest(server: Server, tmp_path: Path) -> None:
    mask, labels, _ = masks.scene(100, 120)
    pair = {
        "mask": masks.write_ids(tmp_path / "m.tif", mask),
        "labels": masks.write_ids(tmp_path / "l.tif", labels),
    }
    run_id = server.start("evaluate", {"pairs": [pair], "to": f"{tmp_path}/page"})
    assert server.end_of(run_id)["state_type"] == "COMPLETED", server.log(run_id)
    assert (tmp_path / "page" / "evaluation.html").exists()
    body = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["evaluation"]}}}
    rows = json.loads(server.call("/artifacts/filter", body)[0]["data"])
    assert [row["class"] for row in rows] == ["field", "road", "roof", "mean"]


def test_a_wrong_value_is_refused_by_the_form(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(HTTPError, match=r"409|422"):
        server.start("on-demand", job(inputs, tmp_path, tiling={"stitch": "glue"}))


def test_what_the_form_cannot_check_fails_with_one_line(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    missing = job(inputs, tmp_path) | {"source": str(tmp_path / "nothing.tif")}
    run = server.end_of(server.start("on-demand", missing))
    assert run["state_type"] == "FAILED"
    assert "nothing.tif: no such file; check the path" in run["state"]["message"]


def test_cancel_stops_the_dask_work_and_leaves_a_resumable_workspace(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    slow = {"tile_px": 64, "patch_px": 256, "overlap_px": 128}
    local = {"kind": "local", "workers": 2}
    run_id = server.start("on-demand", job(inputs, tmp_path, tiling=slow, compute=local))
    job_runs.wait_until(lambda: len(job_runs.receipts(tmp_path)) > 10, 60)
    body = {"state": {"type": "CANCELLING"}, "force": True}
    server.call(f"/flow_runs/{run_id}/set_state", body)
    assert server.end_of(run_id)["state_type"] == "CANCELLED"
    counts = [len(job_runs.receipts(tmp_path))]
    time.sleep(3)
    counts.append(len(job_runs.receipts(tmp_path)))
    assert counts[0] == counts[1] < 2 * 110
    again = server.end_of(server.start("on-demand", job(inputs, tmp_path, tiling=slow)))
    assert again["state_type"] == "COMPLETED"


def test_the_schedule_fires_and_skips_what_is_done(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    deployment = server.deployment("scheduled")["id"]
    batch = job(inputs, tmp_path) | {"source": str(inputs["folder"] / "incoming")}
    schedule = [{"schedule": {"interval": 20.0}, "active": True}]
    server.call(f"/deployments/{deployment}", {"parameters": {"job": batch}}, "PATCH")
    made = server.call(f"/deployments/{deployment}/schedules", schedule)
    try:
        runs = wait_for_two(server, deployment)
    finally:
        server.call(f"/deployments/{deployment}/schedules/{made[0]['id']}", None, "DELETE")
    assert [run["state_type"] for run in runs] == ["COMPLETED", "COMPLETED"]
    assert all(run["auto_scheduled"] for run in runs)
    tables = [batch_table(server, run["id"]) for run in runs]
    assert [rows[0]["status"] for rows in tables] == ["done", "was done already"]
    assert job_runs.read_mask(tmp_path / "a").shape == (600, 700)


def wait_for_two(server: Server, deployment: str) -> list[dict[str, Any]]:
    body = {
        "deployments": {"id": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"any_": sorted(ENDED)}}},
        "sort": "START_TIME_ASC",
    }
    found: list[dict[str, Any]] = []

    def are_two() -> bool:
        found[:] = server.call("/flow_runs/filter", body)[:2]
        return len(found) == 2

    job_runs.wait_until(are_two, 180)
    return found


def batch_table(server: Server, run_id: str) -> list[dict[str, Any]]:
    body = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["batch"]}}}
    rows: list[dict[str, Any]] = json.loads(server.call("/artifacts/filter", body)[0]["data"])
    return rows
