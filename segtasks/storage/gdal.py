"""Settings of GDAL, its names for files, and its error messages."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from segtasks.errors import StorageError

# Rasterio does not wrap GDAL's own errors everywhere, e.g. when a disk is full.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)
CACHE_BYTES = 128 * 2**20
"""Size of GDAL's cache of decoded blocks, for the whole process."""
FILE_CACHE_BYTES = 4 * 2**20
"""Size of GDAL's cache of file bytes per open handle. Its default of 25 MB fills up in reading."""
_threads = threading.local()

# `RasterHeader.warnings` holds the same remark in one line.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def gdal_options() -> dict[str, Any]:
    """Return GDAL's settings: few remote requests, the endpoint of s3fs and boto, a bounded cache.

    Raises:
        StorageError: AWS_ENDPOINT_URL_S3 is no url.
    """
    options: dict[str, Any] = {
        # An int in bytes; the default is 5 % of the memory.
        "GDAL_CACHEMAX": getattr(_threads, "cache_bytes", CACHE_BYTES),
        "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # no listing, yet side-car masks are found
        "GDAL_HTTP_MAX_RETRY": 5,
        "GDAL_HTTP_RETRY_DELAY": 1,
        "VSI_CACHE": True,
        "VSI_CACHE_SIZE": FILE_CACHE_BYTES,
        "CPL_VSIL_CURL_USE_HEAD": "YES",
        # A closed file is requested again, since the object may have been replaced meanwhile.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsicurl/",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"}:
            raise StorageError(
                f"AWS_ENDPOINT_URL_S3 is {endpoint}, which is no url; write http://HOST:PORT or "
                "https://HOST"
            )
        options |= {
            "AWS_S3_ENDPOINT": parts.netloc,
            "AWS_HTTPS": "YES" if parts.scheme == "https" else "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options


@contextmanager
def small_cache(wanted_bytes: int) -> Iterator[None]:
    """Reduce GDAL's block cache while this thread reads, at most to a quarter."""
    _threads.cache_bytes = min(max(wanted_bytes, CACHE_BYTES // 4), CACHE_BYTES)
    try:
        yield
    finally:
        del _threads.cache_bytes


def gdal_path(url: str) -> str:
    """Return GDAL's name for ``url``."""
    if url.startswith("s3://"):
        return f"/vsis3/{url.removeprefix('s3://')}"
    if url.startswith(("http://", "https://")):
        return f"/vsicurl/{url}"
    return url.removeprefix("file://")


def drivers() -> set[str]:
    """Return the short names of the formats that this GDAL supports."""
    with rasterio.Env() as env:
        return set(env.drivers())


def release() -> str:
    """Return GDAL's version."""
    return str(rasterio.__gdal_version__)


def reason(error: BaseException) -> str:
    """Return GDAL's own message, which rasterio keeps in the cause of its error."""
    cause = error.__cause__ or error.__context__
    text = str(cause) if cause and "previous exception" in str(error) else str(error)
    return " ".join(text.split())
