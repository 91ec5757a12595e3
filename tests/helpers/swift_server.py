"""OpenStack Swift with its S3 API on a free port of this machine: a real object store for tests.

Named swift_server, since a module ``swift`` in the tests' folder would hide the package itself.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

ACCESS_KEY, SECRET_KEY, BUCKET = "test:tester", "testing", "imagery"
STARTING_SECONDS, ENDING_SECONDS = 60.0, 10.0
BIN = Path(sys.executable).parent
PARTS = ("account", "container", "object")
# Also when pytest is killed: Linux then sends SIGKILL (9) to the child (1 is PR_SET_PDEATHSIG).
LAUNCH = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {base}/etc
workers = 0
user = {user}
log_name = {name}
log_address = /dev/null
log_level = WARNING
"""
PART = """devices = {base}/node
mount_check = false
recon_cache_path = {base}/cache
fallocate_reserve = 0
disable_fallocate = true
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
PIPELINE = (
    "log catch_errors cache listing_formats s3api tempauth copy dlo slo symlink "
    "versioned_writes proxy-server"
)
FILTERS = {
    "catch_errors": "",
    "cache": "use = egg:swift#memcache\nmemcache_servers = 127.0.0.1:9",  # nobody answers there
    "listing_formats": "",
    "s3api": "location = us-east-1\nallow_multipart_uploads = true\nmin_segment_size = 5242880",
    "tempauth": "user_test_tester = testing .admin\nuser_test_reader = reading",
    "copy": "",
    "dlo": "",
    "slo": "",
    "symlink": "",
    "versioned_writes": "",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it; ``length`` is that of the answer's body."""

    time: float
    method: str
    path: str
    query: str
    range: str | None
    status: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    """A running server and a bucket in it."""

    endpoint: str
    base: Path

    @property
    def url(self) -> str:
        """The bucket."""
        return f"s3://{BUCKET}"

    @property
    def public_url(self) -> str:
        """The same bucket over plain http, for all to read."""
        return f"{self.endpoint}/v1/AUTH_test/{BUCKET}"

    def let_all_read(self) -> None:
        """Objects may be read by anyone, also by ``test:reader``, who may not write."""
        from s3fs import S3FileSystem  # noqa: PLC0415 - see s3

        S3FileSystem().call_s3("put_bucket_acl", Bucket=BUCKET, ACL="public-read")

    def environment(self, key: str = ACCESS_KEY, secret: str = SECRET_KEY) -> dict[str, str]:
        """What a client's environment must hold."""
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def requests(self, path: str = "", since: float = 0.0) -> list[Request]:
        """The requests after ``since`` whose path holds ``path``, in order."""
        lines = (self.base / "requests.jsonl").read_text().splitlines()
        found = (Request(**json.loads(line)) for line in lines)
        return [each for each in found if path in each.path and each.time >= since]


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """The server, for the whole test run; it dies with pytest, however that ends."""
    base = tmp_path_factory.mktemp("swift")
    if not (BIN / "swift-proxy-server").exists():
        pytest.skip("OpenStack Swift is not installed: pip install -e .[dev]")
    if not _keeps_xattr(base):
        pytest.skip(f"{base} keeps no extended attributes, which Swift needs; set TMPDIR")
    with ExitStack() as stack:
        yield _start(base, stack)


@pytest.fixture
def s3(swift: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The server, with the environment that leads to it and an empty bucket."""
    for name in ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in swift.environment().items():
        monkeypatch.setenv(name, value)
    forget_clients()
    from s3fs import S3FileSystem  # noqa: PLC0415 - only tests that use S3 wait for its import

    fs = S3FileSystem()
    if fs.exists(BUCKET):
        for found in fs.find(BUCKET):
            fs.rm_file(found)
    else:
        fs.mkdir(BUCKET)
    yield swift
    forget_clients()


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The url of an empty folder or prefix: what stores must do, both must do."""
    if request.param == "disk":
        return str(tmp_path / "place")
    return f"{request.getfixturevalue('s3').url}/place"


def forget_clients() -> None:
    """Filesystems are kept per process and would keep old credentials."""
    from s3fs import S3FileSystem  # noqa: PLC0415 - see s3

    S3FileSystem.clear_instance_cache()


def _keeps_xattr(folder: Path) -> bool:
    probe = folder / "xattr"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.metadata", b"x" * 1000)
    except OSError:
        return False
    return True


def _start(base: Path, stack: ExitStack) -> ObjectStore:
    for name in ("etc", "node/d1", "cache", "log"):
        (base / name).mkdir(parents=True)
    ports = dict(zip((*PARTS, "proxy"), _free_ports(4), strict=True))
    (base / "etc/swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = p\nswift_hash_path_suffix = s\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    )
    for name in PARTS:
        _make_ring(base, name, ports[name])
        _configure(base, name, ports[name], PART.format(base=base, name=name))
    _configure(base, "proxy", ports["proxy"], _proxy(base))
    for name in ports:
        stack.enter_context(_server(base, name))
    for name, port in ports.items():
        _wait_for(port, base / f"log/{name}.log")
    endpoint = f"http://127.0.0.1:{ports['proxy']}"
    _wait_for_answer(f"{endpoint}/info")
    return ObjectStore(endpoint=endpoint, base=base)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _make_ring(base: Path, name: str, port: int) -> None:
    for words in (
        ("create", "4", "1", "0"),
        ("add", f"r1z1-127.0.0.1:{port}/d1", "1"),
        ("rebalance",),
    ):
        command = [sys.executable, str(BIN / "swift-ring-builder"), f"{name}.builder", *words]
        subprocess.run(command, cwd=base / "etc", check=False, capture_output=True)
    assert (base / f"etc/{name}.ring.gz").exists(), f"no ring for {name}"


def _configure(base: Path, name: str, port: int, rest: str) -> None:
    user = _user_name()
    text = COMMON.format(base=base, name=name, port=port, user=user) + rest
    (base / f"etc/{name}-server.conf").write_text(text)


def _user_name() -> str:
    import pwd  # noqa: PLC0415 - Unix only, as Swift is

    return pwd.getpwuid(os.getuid()).pw_name


def _proxy(base: Path) -> str:
    filters = [
        f"[filter:{name}]\n" + ("" if "use =" in options else f"use = egg:swift#{name}\n") + options
        for name, options in FILTERS.items()
    ]
    factory = "paste.filter_factory = tests.helpers.swift_log:factory"
    log = f"[filter:log]\n{factory}\npath = {base}/requests.jsonl"
    (base / "requests.jsonl").touch()
    app = "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true"
    return "\n".join([f"[pipeline:main]\npipeline = {PIPELINE}", app, log, *filters]) + "\n"


@contextmanager
def _server(base: Path, name: str) -> Iterator[None]:
    command = [
        sys.executable,
        "-c",
        LAUNCH,
        str(BIN / f"swift-{name}-server"),
        str(base / f"etc/{name}-server.conf"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (base / f"log/{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"Swift did not start: {log.read_text()[-2000:]}")


def _wait_for_answer(url: str) -> None:
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own http
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"{url}: no answer")
