"""Local copies of remote objects that must be files: models, vector files, weights.

fsspec's ``filecache`` is not used: it downloads a changed object over the copy that another process
may have open or memory-mapped, and with ``same_names`` it returns one file for two objects of the
same name (fsspec 2026.9). Here each version of each object has its own folder, and a copy takes its
name only when it is complete.
"""

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
    """Return a local file with the object's bytes, fetched once per machine and version."""
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
    """Copy ``url`` + ``suffix`` to the folder of the local copy of ``url``.

    A companion that no longer exists at the store is removed here. For a local ``url`` there is
    nothing to copy.
    """
    if not is_remote(url):
        return
    local = local_copy(url)
    companion = local.with_name(f"{local.name}{suffix}")
    with translate_errors(f"{url}{suffix}"):
        fs, path = filesystem(f"{url}{suffix}")
        fs.invalidate_cache()
        try:
            with replacing(companion) as temporary:
                fs.get_file(path, str(temporary))
        except (FileNotFoundError, PermissionError):
            # S3 answers 403 for a missing object to those who may not list the bucket.
            companion.unlink(missing_ok=True)
