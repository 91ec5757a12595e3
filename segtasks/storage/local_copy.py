"""Local copies of objects, for what must be a file: models, vector files, weights."""

import hashlib
import os
import tempfile
from pathlib import Path

from segtasks.errors import redact_url
from segtasks.storage.object_store import (
    filesystem,
    identity,
    is_remote,
    local_path,
    replacing,
    translate_errors,
)


def local_copy(url: str) -> Path:
    """A local file with the object's bytes, fetched once per machine and version."""
    if not is_remote(url):
        return local_path(url)
    with translate_errors(url):
        return _fetched(url)


def _fetched(url: str) -> Path:
    fs, path = filesystem(url)
    key = hashlib.sha256(f"{url};{identity(url)}".encode()).hexdigest()[:16]
    name = redact_url(path).rsplit("/", 1)[-1]
    copy = Path(tempfile.gettempdir(), f"segtasks-{os.getuid()}", key, name)
    if not copy.exists():
        with replacing(copy) as temporary:
            fs.get_file(path, str(temporary))
    return copy


def copy_companion(url: str, suffix: str) -> None:
    """Bring ``url`` + ``suffix`` beside the local copy of ``url``; what is gone there goes here.

    Beside a local file it lies anyway.
    """
    if not is_remote(url):
        return
    local = local_copy(url)
    beside = local.with_name(f"{local.name}{suffix}")
    with translate_errors(f"{url}{suffix}"):
        fs, path = filesystem(f"{url}{suffix}")
        fs.invalidate_cache()
        try:
            with replacing(beside) as temporary:
                fs.get_file(path, str(temporary))
        except (FileNotFoundError, PermissionError):
            # Who may not list a bucket is not told whether an object is there.
            beside.unlink(missing_ok=True)
