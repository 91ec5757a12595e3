"""Checks of an installation: a line for each, with the remedy for what fails."""

import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
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
SHOWN = ("segtasks", "torch", "rasterio", "zarr", "dask")
MISSING = "is missing"
State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: what was checked.
        state: ``warn`` for something that is slower or smaller than it could be, ``fail`` for
            something that does not work.
        found: what is there.
        remedy: how to fix it, where there is something to fix.
    """

    name: str
    state: State
    found: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The check as one line of text."""
        return f"{self.state:<5} {self.name:<10} {self.found}{self.remedy and f'; {self.remedy}'}"


def run_checks(url: str | None, *, write: bool) -> Iterator[Check]:
    """Run the checks one after another.

    Args:
        url: a source to read, or with ``write`` a prefix for results.
        write: whether to write a small object under ``url`` and remove it.

    Yields:
        The result of each check as soon as it is known.
    """
    yield from (_packages(), _torch(), _crf(), _gdal(), _memory(), _disk(), _store())
    if url is not None:
        yield _place(url, write=write)
    yield _server()


def _packages() -> Check:
    """Compare the installed packages with the requirements of segtasks and its extras."""
    if wrong := _faults():
        mend = "pip install -c constraints.txt segtasks"
        return Check("packages", "fail", ", ".join(wrong), mend)
    return Check("packages", "ok", ", ".join(f"{name} {version(name)}" for name in SHOWN))


def _faults() -> list[str]:
    """Return the faults of the core requirements and of each extra whose packages are all here."""
    needs = requires("segtasks") or []
    wrong = [found for need in needs if (found := fault(need))]
    for extra in metadata("segtasks").get_all("Provides-Extra", []):
        of_extra = [found for need in needs if (found := fault(need, extra))]
        if not any(found.endswith(MISSING) for found in of_extra):
            wrong += of_extra
    return list(dict.fromkeys(wrong))


def fault(text: str, extra: str = "") -> str | None:
    """Return what is wrong with a requirement, or ``None`` if it is met or does not apply here.

    Args:
        text: The requirement as in a package's metadata.
        extra: The extra that its marker is evaluated for; "" for none.
    """
    need = Requirement(text)
    if need.marker and not need.marker.evaluate({"extra": extra}):
        return None
    try:
        has = version(need.name)
    except PackageNotFoundError:
        return f"{need.name} {MISSING}"
    fits = need.specifier.contains(has, prereleases=True)
    return None if fits else f"{need.name} is {has}, not {need.specifier}"


def _torch() -> Check:
    """Check that torch can use the GPU, if there is one."""
    found = runtime.devices()
    if found:
        return Check("network", "ok", "; ".join(found))
    on_cpu = f"CPU, {os.cpu_count()} cores"
    if not gpus():
        return Check("network", "ok", on_cpu)
    build = "torch cannot use it" if runtime.has_cuda_build() else "this torch is built for CPUs"
    remedy = "install a CUDA build of torch and a driver that is new enough for it"
    return Check("network", "warn", f"{on_cpu}: there is a GPU, but {build}", remedy)


def _crf() -> Check:
    """Check that the native CRF backend, the fastest one, is built."""
    name = backends.resolve("auto")
    if name == "native":
        return Check("crf", "ok", name)
    found = f"{name}, since the native backend is not built"
    return Check("crf", "warn", found, backends.HINTS["native"])


def _gdal() -> Check:
    """Check that GDAL has the drivers for sources and results."""
    drivers, release = gdal.drivers(), f"GDAL {gdal.release()}"
    remedy = "install the rasterio wheel of PyPI, which brings its own GDAL"
    if lacks := [name for name in NEEDED_DRIVERS if name not in drivers]:
        return Check("gdal", "fail", f"{release} lacks {', '.join(lacks)}", remedy)
    if lacks := [name for name in USEFUL_DRIVERS if name not in drivers]:
        return Check("gdal", "warn", f"{release} cannot read {', '.join(lacks)}", remedy)
    return Check("gdal", "ok", f"{release}, {len(drivers)} formats")


def _memory() -> Check:
    """Check the free memory against what one worker process per core needs."""
    from distributed.system import MEMORY_LIMIT  # noqa: PLC0415 - the cgroup's, if there is one

    cores, free = os.cpu_count() or 1, min(psutil.virtual_memory().available, MEMORY_LIMIT)
    found = f"{free / GIB:.1f} GiB free for {cores} worker processes"
    if free < cores * 2 * PROCESS_BYTES:
        return Check("memory", "warn", found, "use fewer --workers or smaller tiles")
    return Check("memory", "ok", found)


def _disk() -> Check:
    """Check the free space for temporary files."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in {folder}, where masks are assembled"
    if free < LITTLE_DISK_BYTES:
        return Check("disk", "warn", found, "free some space, or set TMPDIR to a larger disk")
    return Check("disk", "ok", found)


def _store() -> Check:
    """Report which S3 endpoint and credentials the environment sets; nothing is connected."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    keys = [key for key in KEYS if os.environ.get(key)]
    where = redact_url(endpoint) if endpoint else "AWS"
    source = f"credentials from {keys[0]}" if keys else "no credentials in the environment"
    return Check("s3", "ok", f"endpoint {where}, {source}; doctor s3://bucket/prefix tests it")


def _place(url: str, *, write: bool) -> Check:
    """Check that a URL can be read, or written."""
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
    """Check the Prefect server if one is set; the command line needs none."""
    if find_spec("prefect") is None:
        mend = "for `segtasks up`: pip install 'segtasks[prefect]'"
        return Check("prefect", "ok", "is not installed", mend)
    import prefect  # noqa: PLC0415 - 1 s
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - the same

    url = PREFECT_API_URL.value()
    if not url:
        return Check("prefect", "ok", "no server is set; `segtasks up` starts one")
    remedy = "start it (segtasks up), or set PREFECT_API_URL"
    try:
        there = json.loads(_answer(f"{url}/admin/version"))
    except (URLError, OSError, ValueError) as error:
        return Check("prefect", "fail", f"{redact_url(url)} does not answer ({error})", remedy)
    if there != prefect.__version__:
        found = f"{redact_url(url)} runs Prefect {there}, this machine has {prefect.__version__}"
        return Check("prefect", "warn", found, "install the same version on both")
    return Check("prefect", "ok", f"{redact_url(url)}, Prefect {there}")


def _answer(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the user's server
        body: bytes = answer.read()
        return body
