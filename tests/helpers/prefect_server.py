"""A Prefect server, work pool, worker and deployments, as `segtasks up` starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

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
    """Calls of Prefect's REST API.

    ``page`` is its UI, ``pid`` the process of `segtasks up`, ``folder`` where that was started.
    """

    def __init__(self, port: int, pid: int, folder: Path) -> None:
        self.page = f"http://127.0.0.1:{port}"
        self.url = f"{self.page}/api"
        self.pid = pid
        self.folder = folder

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

    def artifact(self, run_id: str, key: str) -> dict[str, Any]:
        """A run's artifact."""
        body = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}}
        found: list[dict[str, Any]] = self.call("/artifacts/filter", body)
        return found[0]

    def table(self, run_id: str, key: str) -> list[dict[str, Any]]:
        """The rows of a run's table."""
        rows: list[dict[str, Any]] = json.loads(self.artifact(run_id, key)["data"])
        return rows

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

    def processes(self, words: str) -> list[psutil.Process]:
        """What runs below `segtasks up` with these words in its command."""
        family = psutil.Process(self.pid).children(recursive=True)
        return [each for each in family if words in command_of(each)]

    def log(self, run_id: str) -> str:
        """All messages of a run."""
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
        return "\n".join(each["message"] for each in self.call("/logs/filter", body))


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def wait_until(is_true: Callable[[], bool], seconds: float) -> None:
    """Poll a condition."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_foreign_flows(folder: Path) -> None:
    """Write the package ``flows`` of a user, which raises when it is imported."""
    (folder / "flows").mkdir(parents=True)
    text = 'raise RuntimeError("the flows of a user were imported")\n'
    for name in ("__init__", "segment", "segment_batch", "train", "evaluate"):
        (folder / "flows" / f"{name}.py").write_text(text)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`segtasks up`, started in a folder that has a package ``flows`` of a user."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write_foreign_flows(folder)
    home = tmp_path_factory.mktemp("prefect")
    with segtasks_up([sys.executable, "-m", "segtasks"], os.environ, home, folder) as started:
        yield started


@contextmanager
def segtasks_up(
    command: Sequence[str], environment: Mapping[str, str], home: Path, folder: Path
) -> Iterator[Server]:
    """Run `segtasks up` in a folder; it ends with the block, by Ctrl-C, and leaves no process.

    Args:
        command: How segtasks is called.
        environment: Its variables, without Prefect's.
        home: Of Prefect's database, and of the log.
        folder: The current folder of the command.
    """
    port, log = free_port(), home / "up.log"
    words = [*command, "up", "--port", str(port)]
    with log.open("w") as file:
        process = subprocess.Popen(
            words,
            env={**environment, "PREFECT_HOME": str(home)},
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        return "segtasks is up" in log.read_text()

    try:
        wait_until(is_up, 300)
        family = psutil.Process(process.pid).children(recursive=True)
        yield Server(port, process.pid, folder)
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(120)
    assert status == 0
    assert [child for child in family if child.is_running() and child.status() != "zombie"] == []


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from tests.helpers import job_runs  # noqa: PLC0415 - torch, which most tests do without

    folder = tmp_path_factory.mktemp("inputs")
    (folder / "incoming").mkdir()
    job_runs.write_photo(folder / "incoming" / "a.tif", 600, 700)
    model = job_runs.write_network(folder / "m.safetensors", "fcn8s_lean", width=0.05)
    return {"folder": folder, "model": str(model)}


def job(inputs: dict[str, Any], to: Path, **settings: object) -> dict[str, Any]:
    """A small job without a CRF."""
    paths = {"source": str(inputs["folder"] / "incoming" / "a.tif"), "to": str(to)}
    return {**paths, "model": inputs["model"], "crf": None, "tiling": TILING, **settings}
