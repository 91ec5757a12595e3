"""Services of compose.yaml as processes of this machine: their commands, variables, health checks.

Hosts become 127.0.0.1 and ports free ones; nothing listens beyond loopback.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.checkout import BIN, INFRA, documents
from tests.helpers.paths import ROOT

HOSTS = ("database", "server", "scheduler", "storage")
LOOPBACK = {"scheduler": ["--host", "127.0.0.1"]}
"""What a service is told besides, where its own words have it listen everywhere."""

STARTING_SECONDS, ENDING_SECONDS = 120.0, 20.0
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


def compose() -> dict[str, Any]:
    """The file as it stands."""
    return documents(INFRA / "compose.yaml")[0]


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``, as compose reads them."""

    def value(match: re.Match[str]) -> str:
        default = match["word"] if match["kind"] == "-" else None
        found = values.get(match["name"]) or default
        assert found, match["word"] or f"{match['name']} is not set"
        return found

    return VARIABLE.sub(value, text)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Started:
    """A service that is on its way."""

    process: subprocess.Popen[bytes]
    check: list[str]
    log: Path

    def wait(self) -> None:
        """Until its health check passes."""
        end = time.monotonic() + STARTING_SECONDS
        while subprocess.run(self.check, env=_path(), capture_output=True, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self.log} did not start: {self.log.read_text()[-3000:]}")
            time.sleep(0.5)


@dataclass
class Here:
    """The services on this machine.

    Attributes:
        values: what ``infra/.env`` would hold.
        folder: for logs and homes.
        ports: the port on this machine by that of the file; services of one port take turns.
    """

    values: Mapping[str, str]
    folder: Path
    ports: dict[str, int]
    stack: ExitStack

    def start(self, *names: str) -> None:
        """Start services and wait until their health checks pass."""
        for started in [self._started(name) for name in names]:
            started.wait()

    def _started(self, name: str) -> "Started":
        self.ports["8788"] = free_port()  # each Dask worker is alone in its container
        service, log = compose()["services"][name], self.folder / f"{name}.log"
        words = [self.translated(word) for word in service["command"]] + LOOPBACK.get(name, [])
        check = [self.translated(word) for word in service["healthcheck"]["test"][1:]]
        process = self.stack.enter_context(running(words, self.environment(service), log))
        return Started(process, check, log)

    def run(self, name: str, *words: str) -> str:
        """Run a command to its end in the environment of a service; what it printed."""
        service = compose()["services"][name]
        command = list(words) or [self.translated(word) for word in service["command"]]
        environment = self.environment(service)
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """The variables of a service."""
        given = {
            key: "127.0.0.1" if text in HOSTS else self.translated(text)
            for key, text in service.get("environment", {}).items()
        }
        home = {"PREFECT_HOME": str(self.folder), "SEGTASKS_HOME": str(ROOT)}
        loopback = {"PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        return _path() | home | loopback | {"DO_NOT_TRACK": "1"} | given

    def translated(self, text: str) -> str:
        """A word or variable of the file, for this machine."""
        text = interpolated(text, self.values)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - away with it
        text = re.sub(rf"\b({'|'.join(HOSTS)})(?=:\d)", "127.0.0.1", text)
        text = re.sub(r"(^|=)(?=:\d)", r"\g<1>127.0.0.1", text)
        ports = "|".join(self.ports)
        return re.sub(rf"(?<!\d)({ports})(?!\d)", lambda found: str(self.ports[found[0]]), text)


@contextmanager
def here(values: Mapping[str, str], folder: Path) -> Iterator[Here]:
    """Services that end with the block, the last first."""
    ports = {number: free_port() for number in ("4200", "5432", "8080", "8786", "8787", "8788")}
    with ExitStack() as stack:
        yield Here(values, folder, ports, stack)


@contextmanager
def running(
    words: list[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a session of its own, ended with all that it started."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            words, env=environment, cwd=ROOT, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(ENDING_SECONDS)


def _path() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
