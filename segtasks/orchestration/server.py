"""Run a whole installation with one command: server, work pool, deployments and worker."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.error import URLError

import click
import psutil

from segtasks.config.extras import require_packages
from segtasks.errors import ResourceError

POOL = "segtasks"
STARTING_SECONDS, ENDING_SECONDS = 120.0, 15.0
INTERRUPTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def up(host: str, port: int) -> None:
    """Start everything, print the address, and end everything on Ctrl-C, SIGTERM or SIGHUP.

    Args:
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        JobError: Prefect is not installed.
        ResourceError: A part does not start; the other parts are ended.
    """
    require_packages("`segtasks up`", "prefect", "prefect")
    home = project_folder()
    _require_free(host, port)
    environment = environment_of(host, port, home)
    url = f"http://{reachable(host)}:{port}"
    with ExitStack() as stack:
        stack.enter_context(_interruptible())
        server = stack.enter_context(_child(["server", "start"], environment, home))
        _wait_for(url, server)
        stack.callback(_mark_interrupted, url, server)
        _prefect(
            ["work-pool", "create", POOL, "--type", "process", "--overwrite"], environment, home
        )
        _prefect(["deploy", "--all", "--prefect-file", "prefect.yaml"], environment, home)
        worker = stack.enter_context(
            _child(["worker", "start", "--pool", POOL, "--type", "process"], environment, home)
        )
        click.echo(f"segtasks is up: {url}\nEnd it with Ctrl-C.")
        with suppress(KeyboardInterrupt):
            _watch({"server": server, "worker": worker})
    click.echo("segtasks is down")


def project_folder() -> Path:
    """Return the folder of ``prefect.yaml`` and ``flows/``: a wheel's own, or the checkout.

    Deployments name the flows by path in this folder, so it does not matter what the current
    folder holds.

    Raises:
        ResourceError: Neither has the file.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (package / "deployments", package.parent)
    for folder in folders:
        if (folder / "prefect.yaml").exists():
            return folder
    raise ResourceError(
        f"prefect.yaml is neither in {folders[0]} nor in {folders[1]}; install segtasks again"
    )


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound


def _require_free(host: str, port: int) -> None:
    """Refuse before anything starts: a server on this port would answer in place of the new one.

    Raises:
        ResourceError: The port is taken, or the host is not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ResourceError(
                f"{host}:{port}: cannot be listened on ({error.strerror or error}); is another "
                "`segtasks up` running? End it, or give another --port or --host"
            ) from None


def environment_of(host: str, port: int, home: Path) -> dict[str, str]:
    """Return the environment of server, worker and flow runs."""
    return {
        **os.environ,
        "PREFECT_API_URL": f"http://{reachable(host)}:{port}/api",
        "PREFECT_SERVER_API_HOST": host,
        # The option --port alone leaves the UI pointing at 4200.
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "SEGTASKS_HOME": str(home),
    }


@contextmanager
def _interruptible() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C, and SIGINT too where the parent process ignores it."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in INTERRUPTS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _child(
    words: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a prefect command in its own session; end it and all its children with the block."""
    process = subprocess.Popen(  # noqa: S603 - fixed words
        [sys.executable, "-m", "prefect", *words],
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process, then kill it; a second Ctrl-C skips the wait."""
    family = _family(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(ENDING_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
    # Flow runs have their own sessions: a killed worker has not ended them.
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise ResourceError(f"{url}: the server ended at once; is the port taken? Try --port")
        try:
            with urllib.request.urlopen(f"{url}/api/health", timeout=5):  # noqa: S310 - our own http
                return
        except (URLError, OSError):
            time.sleep(0.25)
    raise ResourceError(f"{url}: no answer in {STARTING_SECONDS:.0f} s; see the server's output")


def _mark_interrupted(url: str, server: subprocess.Popen[bytes]) -> None:
    """Mark the runs that ended with the worker as crashed: they would stay in state Running."""
    if server.poll() is None:
        from segtasks.orchestration.run_states import mark_interrupted  # noqa: PLC0415 - prefect, 1 s, for the end

        mark_interrupted(f"{url}/api", POOL)


def _prefect(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    done = subprocess.run(  # noqa: S603 - fixed words
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().split("\n")[-1]
        raise ResourceError(
            f"prefect {' '.join(words)} failed ({last}); run it by hand to see more"
        )


def _watch(children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    while True:
        for name, process in children.items():
            if process.poll() is not None:
                raise ResourceError(f"the {name} ended with {process.returncode}; see its output")
        time.sleep(1)
