"""PostgreSQL on a free port of loopback; it refuses to run as root, so root lends it a user."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.helpers.compose_file import free_port

# Each of these would have to be escaped in a url.
PASSWORD = "p@ss/w:rd%"
STARTING_SECONDS, ENDING_SECONDS = 60.0, 20.0


@dataclass(frozen=True)
class Postgres:
    """A running server with an empty database ``prefect`` of a user ``prefect``."""

    port: int

    def ask(self, query: str, database: str = "prefect") -> Any:  # noqa: ANN401 - any value
        """The first value that a statement gives."""

        async def asked() -> Any:  # noqa: ANN401 - the same
            place = {"host": "127.0.0.1", "port": self.port, "database": database}
            connection = await asyncpg.connect(user="prefect", password=PASSWORD, **place)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(asked())


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    programs, user = _programs(), _user()
    # Not in pytest's folder, which other users may not enter.
    base = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if user is not None:
            shutil.chown(base, user)
        with _server(programs, base, user) as found:
            found.ask("create database prefect", "postgres")
            yield found
    finally:
        shutil.rmtree(base)


def _programs() -> Path:
    found = shutil.which("initdb")
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return Path(found).resolve().parent


def _user() -> str | None:
    """Whom it has to run as; ``None``: who we are."""
    if os.getuid():
        return None
    if "postgres" not in {each.pw_name for each in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return "postgres"


@contextmanager
def _server(programs: Path, base: Path, user: str | None) -> Iterator[Postgres]:
    port = free_port()
    (base / "password").write_text(PASSWORD)
    where = ["--pgdata", f"{base}/data", "--username", "prefect", "--pwfile", f"{base}/password"]
    options = ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"]
    words = [str(programs / "initdb"), *where, *options]
    subprocess.run(words, cwd=base, capture_output=True, check=True, user=user)
    words = [str(programs / "postgres"), "-D", f"{base}/data", "-k", str(base), "-F"]
    words += ["-h", "127.0.0.1", "-p", str(port)]
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=base, stdout=log, stderr=log, user=user)
    try:
        _wait_for(programs, port, base / "log")
        yield Postgres(port)
    finally:
        process.send_signal(signal.SIGINT)  # SIGTERM would wait for its clients
        process.wait(ENDING_SECONDS)


def _wait_for(programs: Path, port: int, log: Path) -> None:
    words = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    end = time.monotonic() + STARTING_SECONDS
    while subprocess.run(words, capture_output=True, check=False).returncode:
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.1)
