"""Objects by url: local files and s3:// alike, whole or not at all.

Prefixes that results go to.
"""

import errno
import glob
import mimetypes
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from segtasks.errors import DestinationError, SegtasksError, StorageError


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
        StorageError: when no filesystem speaks the url's protocol.
    """
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StorageError(f"{url}: {error}; use a path, s3:// or https://") from None
    return fs, path


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Whatever a store answers with becomes one line that names the url and the mend."""
    try:
        yield
    except SegtasksError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{url}: is not there ({_reason(error)}); check its name") from error
    except Exception as error:
        raise StorageError(
            f"{url}: cannot be used ({_reason(error)}); {_mend(url, error)}"
        ) from error


def exists(url: str) -> bool:
    """Whether there is an object at ``url`` now (cached listings are not trusted)."""
    with translate_errors(url):
        fs, path = filesystem(url)
        fs.invalidate_cache()
        return bool(fs.exists(path))


def read_bytes(url: str) -> bytes:
    """The whole object."""
    with translate_errors(url):
        fs, path = filesystem(url)
        return bytes(fs.cat_file(path))


def write_bytes(url: str, data: bytes) -> None:
    """Write the object whole or not at all: a killed writer leaves nothing under the name."""
    with translate_errors(url):
        fs, path = filesystem(url)
        if isinstance(fs, LocalFileSystem):
            with replacing(Path(path)) as temporary:
                temporary.write_bytes(data)
        else:
            fs.pipe_file(path, data, **_kind(url))


def _kind(url: str) -> dict[str, str]:
    """What a bucket tells a browser that an object is: without it, a page is only downloaded."""
    kind, _ = mimetypes.guess_type(url)
    return {"ContentType": kind} if kind and url.startswith("s3://") else {}


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
    with translate_errors(url):
        fs, path = filesystem(url)
        if isinstance(fs, LocalFileSystem):
            with replacing(Path(path)) as temporary:
                fs.get_file(str(source), str(temporary))
        else:
            fs.put_file(str(source), path)


def names(prefix: str) -> set[str]:
    """Names of the objects directly under ``prefix``; empty when there is no such folder."""
    with translate_errors(prefix):
        fs, path = filesystem(prefix)
        fs.invalidate_cache()
        try:
            found = fs.ls(path, detail=False)
        except FileNotFoundError:
            return set()
        return {name.rstrip("/").rsplit("/", 1)[-1] for name in found}


def read_many(urls: list[str]) -> list[bytes]:
    """Many small objects of one store, fetched side by side where it is remote."""
    if not urls:
        return []
    with translate_errors(urls[0]):
        fs, _ = filesystem(urls[0])
        paths = [fs._strip_protocol(url) for url in urls]  # noqa: SLF001 - fsspec's own way
        # Not cat: it takes [ and * in names for patterns.
        return [bytes(data) for data in fs.cat_ranges(paths, None, None, on_error="raise")]


def remove_tree(prefix: str) -> None:
    """Remove everything under ``prefix``."""
    with translate_errors(prefix):
        fs, path = filesystem(prefix)
        fs.invalidate_cache()
        if not fs.exists(path):
            return
        # Object stores take [ and * in names for patterns.
        fs.rm(path if isinstance(fs, LocalFileSystem) else glob.escape(path), recursive=True)


def remove_empty_folder(url: str) -> None:
    """Remove a local folder that holds nothing; object stores have no folders."""
    if not is_remote(url) and local_path(url).is_dir() and not any(local_path(url).iterdir()):
        local_path(url).rmdir()


def is_same(one: str, other: str) -> bool:
    """Whether two urls name one object, also through links."""
    if is_remote(one) or is_remote(other):
        return one == other
    paths = local_path(one), local_path(other)
    return all(map(os.path.exists, paths)) and os.path.samefile(*paths)  # noqa: PTH121 - see exists


def identity(url: str) -> str:
    """What changes when the object changes: ETag, or size and time of modification."""
    with translate_errors(url):
        fs, path = filesystem(url)
        fs.invalidate_cache()
        info = fs.info(path)
    keys = ("ETag", "etag", "size", "mtime", "LastModified", "Last-Modified")
    return ";".join(f"{key}={info[key]}" for key in keys if info.get(key) is not None)


def size(url: str) -> int:
    """Bytes of an object."""
    with translate_errors(url):
        fs, path = filesystem(url)
        return int(fs.size(path) or 0)


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
    except Exception as error:
        cause = error.__cause__ or error
        raise DestinationError(
            f"{prefix}: cannot be written ({_reason(cause)}); {_mend(prefix, cause)}"
        ) from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _mend(url: str, error: BaseException) -> str:
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "free some space and rerun: what is done is kept"
    if url.startswith("s3://"):
        return (
            "check that the bucket exists and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for "
            "other servers than AWS, AWS_ENDPOINT_URL_S3 are set"
        )
    if is_remote(url):
        return "check the url; results go to a folder or s3:// prefix"
    return "choose a folder you may write to"


def find(pattern: str) -> list[str]:
    """Urls of the objects that match a glob, sorted; relative ones stay relative."""
    with translate_errors(pattern):
        fs, path = filesystem(pattern)
        fs.invalidate_cache()
        found = fs.glob(path, detail=True)
    paths = sorted(name for name, info in found.items() if info["type"] != "directory")
    if is_remote(pattern):
        return [fs.unstrip_protocol(name) for name in paths]
    is_relative = not pattern.startswith(("/", "file://"))
    return [os.path.relpath(name) for name in paths] if is_relative else paths


def require_free(prefix: str, names: Iterable[str], *, overwrite: bool) -> None:
    """Refuse a prefix before work starts.

    Args:
        prefix: a folder or ``s3://bucket/prefix``.
        names: of the files that will be written under it.
        overwrite: whether they may be replaced.

    Raises:
        DestinationError: one is there and may not be replaced, or nothing can be written.
    """
    there = [name for name in names if exists(f"{prefix}/{name}")]
    if there and not overwrite:
        raise DestinationError(
            f"{prefix}/{there[0]}: is there already; choose another --to or give --overwrite"
        )
    require_writable(prefix)
