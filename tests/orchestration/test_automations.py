"""The example automations, created in a real server as the files' own words say."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.prefect_server import Server, job, wait_until

FILES = ROOT / "infra" / "automations"
NO_BLOCK = "00000000-0000-0000-0000-000000000000"


class Sink(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Keeper)
        self.got: list[dict[str, Any]] = []


class Keeper(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self.server.got.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def make_block(server: Server, url: str) -> str:
    """A Custom Webhook block, as one makes it in the UI; its id."""
    kind = server.call("/block_types/slug/custom-webhook", method="GET")["id"]
    body = {"block_schemas": {"block_type_id": {"any_": [kind]}}}
    schema = server.call("/block_schemas/filter", body)[0]["id"]
    data = {"name": "sink", "url": url, "json_data": {"text": "{{subject}} | {{body}}"}}
    block = {"name": f"sink-{time.time_ns()}", "block_type_id": kind, "block_schema_id": schema}
    made: dict[str, Any] = server.call("/block_documents/", {**block, "data": data})
    return str(made["id"])


def create(server: Server, path: Path) -> None:
    words = ["-m", "prefect", "--no-prompt", "automation", "create", "--from-file", str(path)]
    environment = {**os.environ, "PREFECT_API_URL": server.url}
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_failed_run_tells_what_to_mend(
    server: Server, inputs: dict[str, Any], sink: Sink, tmp_path: Path
) -> None:
    block = make_block(server, f"http://127.0.0.1:{sink.server_port}/")
    text = (FILES / "failed_runs.yaml").read_text()
    assert text.count(NO_BLOCK) == 1
    (tmp_path / "failed_runs.yaml").write_text(text.replace(NO_BLOCK, block))
    create(server, tmp_path / "failed_runs.yaml")
    missing = job(inputs, tmp_path) | {"source": "/nothing.tif"}
    run = server.end_of(server.start("on-demand", missing))
    wait_until(lambda: bool(sink.got), 60)
    title, _, rest = sink.got[0]["text"].partition(" | ")
    assert title == "segment nothing.tif with m: Failed"
    message, url = rest.split("\n")
    assert message == "/nothing.tif: no such file; check the path"
    assert url.endswith(f"/runs/flow-run/{run['id']}")


def test_the_automation_of_lost_runs_is_taken(server: Server) -> None:
    create(server, FILES / "lost_runs.yaml")
    found = server.call("/automations/filter", {})
    lost = next(each for each in found if each["name"] == "segtasks-lost-runs")
    assert lost["trigger"]["posture"] == "Proactive"
    assert lost["actions"][0]["state"] == "CRASHED"
