"""Read, write and list objects by url, local files and s3:// alike.

An object is written completely or not at all.
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
    """Return whether ``url`` is no file of this machine."""
    return "://" in url and not url.startswith("file://")


def local_path(url: str) -> Path:
    """Return the absolute path of a local url."""
    return Path(url.removeprefix("file://")).absolute()


def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the fsspec filesystem of ``url`` and the path in it.

    Credentials and endpoint come from the usual environment variables (AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3, AWS_PROFILE ...).

    Raises:
        StorageError: no filesystem supports the url's protocol.
    """
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StorageError(f"{url}: {error}; use a path, s3:// or https://") from None
    return fs, path


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Turn every error of a store into one line that names the url and the remedy."""
    try:
        yield
    except SegtasksError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{url}: does not exist ({_reason(error)}); check its name") from error
    except Exception as error:
        raise StorageError(
            f"{url}: cannot be used ({_reason(error)}); {_remedy(url, error)}"
        ) from error


def exists(url: str) -> bool:
    """Return whether there is an object at ``url`` now; cached listings are not used."""
    with translate_errors(url):
        fs, path = filesystem(url)
        fs.invalidate_cache()
        return bool(fs.exists(path))


def size(url: str) -> int:
    """Return the size of an object in bytes."""
    with translate_errors(url):
        fs, path = filesystem(url)
        return int(fs.size(path) or 0)


def identity(url: str) -> str:
    """Return a string that changes when the object changes: ETag, size, time of modification."""
    with translate_errors(url):
        fs, path = filesystem(url)
        fs.invalidate_cache()
        info = fs.info(path)
    keys = ("ETag", "etag", "size", "mtime", "LastModified", "Last-Modified")
    return ";".join(f"{key}={info[key]}" for key in keys if info.get(key) is not None)


def is_same(one: str, other: str) -> bool:
    """Return whether two urls name the same object, following links."""
    if is_remote(one) or is_remote(other):
        return one == other
    paths = local_path(one), local_path(other)
    return all(map(os.path.exists, paths)) and os.path.samefile(*paths)  # noqa: PTH121 - see exists


def names(prefix: str) -> set[str]:
    """Return the names of the objects directly under ``prefix``; empty if it does not exist."""
    with translate_errors(prefix):
        fs, path = filesystem(prefix)
        fs.invalidate_cache()
        try:
            found = fs.ls(path, detail=False)
        except FileNotFoundError:
            return set()
        return {name.rstrip("/").rsplit("/", 1)[-1] for name in found}


def find(pattern: str) -> list[str]:
    """Return the sorted urls of the objects that match a glob; relative paths stay relative."""
    with translate_errors(pattern):
        fs, path = filesystem(pattern)
        fs.invalidate_cache()
        found = fs.glob(path, detail=True)
    paths = sorted(name for name, info in found.items() if info["type"] != "directory")
    if is_remote(pattern):
        return [fs.unstrip_protocol(name) for name in paths]
    is_relative = not pattern.startswith(("/", "file://"))
    return [os.path.relpath(name) for name in paths] if is_relative else paths


def read_bytes(url: str) -> bytes:
    """Read the whole object."""
    with translate_errors(url):
        fs, path = filesystem(url)
        return bytes(fs.cat_file(path))


def read_many(urls: list[str]) -> list[bytes]:
    """Read many small objects of one store, in parallel if it is remote."""
    if not urls:
        return []
    with translate_errors(urls[0]):
        fs, _ = filesystem(urls[0])
        paths = [fs._strip_protocol(url) for url in urls]  # noqa: SLF001 - fsspec has no public one
        # Not cat: it treats [ and * in names as patterns.
        return [bytes(data) for data in fs.cat_ranges(paths, None, None, on_error="raise")]


def write_bytes(url: str, data: bytes) -> None:
    """Write the whole object; a killed writer leaves nothing under its name."""
    with translate_errors(url):
        fs, path = filesystem(url)
        if isinstance(fs, LocalFileSystem):
            with replacing(Path(path)) as temporary:
                temporary.write_bytes(data)
        else:
            # Without a media type, browsers download a page instead of showing it.
            media_type, _ = mimetypes.guess_type(url)
            is_known = media_type and url.startswith("s3://")
            fs.pipe_file(path, data, **({"ContentType": media_type} if is_known else {}))


def put_file(source: Path, url: str) -> None:
    """Copy a local file to ``url``; the object appears completely or not at all."""
    with translate_errors(url):
        fs, path = filesystem(url)
        if isinstance(fs, LocalFileSystem):
            with replacing(Path(path)) as temporary:
                fs.get_file(str(source), str(temporary))
        else:
            fs.put_file(str(source), path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of ``path`` that replaces it if the block succeeds."""
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


def remove_tree(prefix: str) -> None:
    """Remove everything under ``prefix``."""
    with translate_errors(prefix):
        fs, path = filesystem(prefix)
        fs.invalidate_cache()
        if not fs.exists(path):
            return
        # Object stores treat [ and * in names as patterns.
        fs.rm(path if isinstance(fs, LocalFileSystem) else glob.escape(path), recursive=True)


def remove_empty_folder(url: str) -> None:
    """Remove a local folder if it is empty; object stores have no folders."""
    if not is_remote(url) and local_path(url).is_dir() and not any(local_path(url).iterdir()):
        local_path(url).rmdir()


def require_free(prefix: str, names: Iterable[str], *, overwrite: bool) -> None:
    """Check before work starts that results can be written under a prefix.

    Args:
        prefix: a folder or ``s3://bucket/prefix``.
        names: names of the files that will be written under it.
        overwrite: whether existing files may be replaced.

    Raises:
        DestinationError: a file exists and may not be replaced, or nothing can be written.
    """
    existing = [name for name in names if exists(f"{prefix}/{name}")]
    if existing and not overwrite:
        raise DestinationError(
            f"{prefix}/{existing[0]}: already exists; choose another --to or give --overwrite"
        )
    require_writable(prefix)


def require_writable(prefix: str) -> None:
    """Write and remove a small object under ``prefix``.

    Raises:
        DestinationError: it cannot be written, with the reason of the system.
    """
    probe = f"{prefix}/.segtasks-probe-{os.getpid()}"
    try:
        write_bytes(probe, b"")
        fs, path = filesystem(probe)
        fs.rm_file(path)
    except Exception as error:
        cause = error.__cause__ or error
        raise DestinationError(
            f"{prefix}: cannot be written ({_reason(cause)}); {_remedy(prefix, cause)}"
        ) from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _remedy(url: str, error: BaseException) -> str:
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "free some space and rerun: what is done is kept"
    if url.startswith("s3://"):
        return (
            "check that the bucket exists and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for "
            "servers other than AWS, AWS_ENDPOINT_URL_S3 are set"
        )
    if is_remote(url):
        return "check the url; results go to a folder or s3:// prefix"
    return "choose a folder you may write to"
