"""What an installation has and lacks: a line for each, with what mends it."""

import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Literal
from urllib.error import URLError

import psutil
from packaging.requirements import Requirement

from segtasks.crf import backends
from segtasks.errors import SegtasksError, redact_url
from segtasks.networks.inference import runtime
from segtasks.pipeline.dask_cluster import gpus
from segtasks.planning.worker import PROCESS_BYTES
from segtasks.raster.units import GIB
from segtasks.storage import gdal, object_store

TIMEOUT_SECONDS = 5.0
LITTLE_DISK_BYTES = 5 * GIB
NEEDED_DRIVERS, USEFUL_DRIVERS = ("GTiff", "COG", "VRT"), ("JPEG", "JP2OpenJPEG", "PNG")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
SHOWN = ("segtasks", "torch", "rasterio", "zarr", "dask", "prefect")
NO_EXTRA = {"extra": ""}
State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line: ``warn`` is something one may want, ``fail`` something that will not work."""

    name: str
    state: State
    found: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.state:<5} {self.name:<10} {self.found}{self.remedy and f'; {self.remedy}'}"


def run_checks(url: str | None, *, write: bool) -> Iterator[Check]:
    """Each check as it is made.

    Args:
        url: a place to be looked at: a source, or with ``write`` where results shall go.
        write: write and remove a small object there.
    """
    yield from (_packages(), _torch(), _crf(), _gdal(), _memory(), _disk(), _store())
    if url is not None:
        yield _place(url, write=write)
    yield _server()


def _packages() -> Check:
    """Those that segtasks says it needs."""
    wrong = [text for text in map(fault, requires("segtasks") or []) if text]
    if wrong:
        mend = "pip install -c constraints.txt segtasks"
        return Check("packages", "fail", ", ".join(wrong), mend)
    return Check("packages", "ok", ", ".join(f"{name} {version(name)}" for name in SHOWN))


def fault(text: str) -> str | None:
    """What is wrong with a requirement, if it is one here."""
    need = Requirement(text)
    if need.marker and not need.marker.evaluate(NO_EXTRA):
        return None
    try:
        has = version(need.name)
    except PackageNotFoundError:
        return f"{need.name} is missing"
    fits = need.specifier.contains(has, prereleases=True)
    return None if fits else f"{need.name} is {has}, not {need.specifier}"


def _torch() -> Check:
    found = runtime.devices()
    if found:
        return Check("network", "ok", "; ".join(found))
    on_cpu = f"CPU, {os.cpu_count()} cores"
    if not gpus():
        return Check("network", "ok", on_cpu)
    build = "torch cannot use it" if runtime.has_cuda_build() else "this torch is built for CPUs"
    mend = "install a CUDA build of torch, and a driver that is new enough for it"
    return Check("network", "warn", f"{on_cpu}: there is a GPU, but {build}", mend)


def _crf() -> Check:
    name = backends.resolve("auto")
    if name == "native":
        return Check("crf", "ok", name)
    return Check("crf", "warn", f"{name}, the native one is not built", backends.HINTS["native"])


def _gdal() -> Check:
    drivers, said = gdal.drivers(), f"GDAL {gdal.release()}"
    if lacks := [name for name in NEEDED_DRIVERS if name not in drivers]:
        mend = "install rasterio's own wheel"
        return Check("gdal", "fail", f"{said} lacks {', '.join(lacks)}", mend)
    if lacks := [name for name in USEFUL_DRIVERS if name not in drivers]:
        return Check("gdal", "warn", f"{said} cannot read {', '.join(lacks)}")
    return Check("gdal", "ok", f"{said}, {len(drivers)} formats")


def _memory() -> Check:
    from distributed.system import MEMORY_LIMIT  # noqa: PLC0415 - its cgroup's, where it has one

    cores, free = os.cpu_count() or 1, min(psutil.virtual_memory().available, MEMORY_LIMIT)
    found = f"{free / GIB:.1f} GiB free for {cores} worker processes"
    if free < cores * 2 * PROCESS_BYTES:
        return Check("memory", "warn", found, "use fewer --workers, or smaller tiles")
    return Check("memory", "ok", found)


def _disk() -> Check:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in {folder}, where masks are made"
    if free < LITTLE_DISK_BYTES:
        return Check("disk", "warn", found, "free some, or set TMPDIR")
    return Check("disk", "ok", found)


def _store() -> Check:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    keys = [key for key in KEYS if os.environ.get(key)]
    where, by = redact_url(endpoint) if endpoint else "of AWS", keys[0] if keys else "none of ours"
    found = f"endpoint {where}, credentials by {by}"
    return Check("s3", "ok", f"{found}; doctor s3://bucket/prefix tries it")


def _place(url: str, *, write: bool) -> Check:
    """Whether a url can be read, or written."""
    shown = redact_url(url)
    try:
        if write:
            object_store.require_writable(url)
            return Check("url", "ok", f"{shown} can be written")
        if object_store.names(url) or object_store.exists(url):
            return Check("url", "ok", f"{shown} can be read")
    except SegtasksError as error:
        return Check("url", "fail", *str(error).split("; ", maxsplit=1))
    return Check("url", "fail", f"{shown}: nothing is there", "check its name, or give --write")


def _server() -> Check:
    """Prefect's, if one is set; the command line needs none."""
    import prefect  # noqa: PLC0415 - 1 s
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - the same

    url = PREFECT_API_URL.value()
    if not url:
        return Check("prefect", "ok", "no server is set; `segtasks up` starts one")
    mend = "start it (segtasks up), or set PREFECT_API_URL"
    try:
        there = json.loads(_answer(f"{url}/admin/version"))
    except (URLError, OSError, ValueError) as error:
        return Check("prefect", "fail", f"{redact_url(url)} does not answer ({error})", mend)
    if there != prefect.__version__:
        found = f"{redact_url(url)} is of Prefect {there}, this is {prefect.__version__}"
        return Check("prefect", "warn", found, "install one version on both")
    return Check("prefect", "ok", f"{redact_url(url)}, Prefect {there}")


def _answer(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the user's own
        body: bytes = answer.read()
        return body
