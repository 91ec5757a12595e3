"""`segtasks up`: refused in one line before it starts anything, and nothing left when it ends."""

import socket
import subprocess
import sys

import pytest

from segtasks.orchestration.server import reachable


def refused(*words: str) -> str:
    command = [sys.executable, "-m", "segtasks", "up", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    return done.stderr


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert f"127.0.0.1:{port}: cannot be listened on (Address already in use)" in said
    assert "give another --port" in said


def test_a_host_that_is_not_ours() -> None:
    assert "192.0.2.1:4200: cannot be listened on" in refused("--host", "192.0.2.1")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - not bound
        ("::", "[::1]"),
        ("example.org", "example.org"),
    ],
)
def test_all_addresses_are_reached_by_loopback(host: str, found: str) -> None:
    assert reachable(host) == found
