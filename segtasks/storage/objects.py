"""Objects by url: local files and s3:// alike, whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from segtasks.errors import DestinationError, SegtasksError


def is_remote(url: str) -> bool:
    """Whether ``url`` names something that is not a file of this machine."""
    return "://" in url and not url.startswith("file://")


def local_path(url: str) -> Path:
    """The path of a local url."""
    return Path(url.removeprefix("file://")).absolute()


def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem of ``url`` and the path in it.

    Credentials and endpoint come from the usual environment (AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3, AWS_PROFILE ...).

    Raises:
        DestinationError: when no filesystem speaks the url's protocol.
    """
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise DestinationError(f"{url}: {error}; use a path, s3:// or https://") from None
    return fs, path


def exists(url: str) -> bool:
    """Whether there is an object at ``url`` now (cached listings are not trusted)."""
    fs, path = filesystem(url)
    fs.invalidate_cache()
    return bool(fs.exists(path))


def read_bytes(url: str) -> bytes:
    """The whole object."""
    fs, path = filesystem(url)
    return bytes(fs.cat_file(path))


def write_bytes(url: str, data: bytes) -> None:
    """Write the object whole or not at all: a killed writer leaves nothing under the name."""
    fs, path = filesystem(url)
    if isinstance(fs, LocalFileSystem):
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(data)
    else:
        fs.pipe_file(path, data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its name when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def put_file(source: Path, url: str) -> None:
    """Copy a local file to ``url``; the object appears whole or not at all."""
    fs, path = filesystem(url)
    if isinstance(fs, LocalFileSystem):
        with replacing(Path(path)) as temporary:
            fs.get_file(str(source), str(temporary))
    else:
        fs.put_file(str(source), path)


def names(prefix: str) -> set[str]:
    """Names of the objects directly under ``prefix``; empty when there is no such folder."""
    fs, path = filesystem(prefix)
    fs.invalidate_cache()
    try:
        found = fs.ls(path, detail=False)
    except FileNotFoundError:
        return set()
    return {name.rstrip("/").rsplit("/", 1)[-1] for name in found}


def read_all(prefix: str) -> list[bytes]:
    """Every object directly under ``prefix``, by name."""
    fs, path = filesystem(prefix)
    paths = sorted(f"{path.rstrip('/')}/{name}" for name in names(prefix))
    return list(fs.cat(paths, on_error="raise").values()) if paths else []


def remove_tree(prefix: str) -> None:
    """Remove everything under ``prefix``."""
    fs, path = filesystem(prefix)
    fs.invalidate_cache()
    if fs.exists(path):
        fs.rm(path, recursive=True)


def remove_empty_folder(url: str) -> None:
    """Remove a local folder that holds nothing; object stores have no folders."""
    if not is_remote(url) and local_path(url).is_dir() and not any(local_path(url).iterdir()):
        local_path(url).rmdir()


def identity(url: str) -> str:
    """What changes when the object changes: ETag, or size and time of modification."""
    fs, path = filesystem(url)
    fs.invalidate_cache()
    info = fs.info(path)
    keys = ("ETag", "etag", "size", "mtime", "LastModified", "Last-Modified")
    return ";".join(f"{key}={info[key]}" for key in keys if info.get(key) is not None)


def require_writable(prefix: str) -> None:
    """Write and remove a small object under ``prefix``.

    Raises:
        DestinationError: when that fails, with the system's reason.
    """
    probe = f"{prefix}/.segtasks-probe-{os.getpid()}"
    try:
        write_bytes(probe, b"")
        fs, path = filesystem(probe)
        fs.rm_file(path)
    except SegtasksError:
        raise
    except Exception as error:
        raise DestinationError(
            f"{prefix}: cannot be written ({_reason(error)}); {_mend(prefix)}"
        ) from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _mend(prefix: str) -> str:
    if prefix.startswith("s3://"):
        return (
            "check that the bucket exists and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for "
            "other servers than AWS, AWS_ENDPOINT_URL_S3 are set"
        )
    return "choose a folder you may write to"


def local_copy(url: str) -> Path:
    """A local file with the object's bytes, fetched once per machine and version."""
    if not is_remote(url):
        return local_path(url)
    fs, path = filesystem(url)
    key = hashlib.sha256(f"{url};{identity(url)}".encode()).hexdigest()[:16]
    copy = Path(tempfile.gettempdir(), f"segtasks-{os.getuid()}", key, path.rsplit("/", 1)[-1])
    if not copy.exists():
        with replacing(copy) as temporary:
            fs.get_file(path, str(temporary))
    return copy


def find(pattern: str) -> list[str]:
    """Urls of the objects that match a glob, sorted."""
    fs, path = filesystem(pattern)
    fs.invalidate_cache()
    paths = sorted(name for name in fs.glob(path) if fs.isfile(name))
    return [fs.unstrip_protocol(name) if is_remote(pattern) else name for name in paths]
