"""The errors of segtasks, and how URLs are shown in them without secrets.

The text of an error is one line: what was wrong, the value, the bound and the remedy.
"""

import re


class SegtasksError(Exception):
    """Base of all errors of segtasks; the command line prints its line and exits with 1.

    Errors are logged and stored in Prefect's database, so secrets in their URLs are redacted.
    """

    def __init__(self, line: str) -> None:
        super().__init__(redact_text(line))


class JobError(SegtasksError):
    """A setting is wrong or contradicts another one."""


class SourceError(SegtasksError):
    """The source raster cannot be opened or read, or does not fit the model."""


class ModelError(SegtasksError):
    """A model file or network name cannot be used."""


class DestinationError(SegtasksError):
    """The destination cannot be written, or holds something that must not be replaced."""


class StorageError(SegtasksError):
    """A store fails: no such bucket or object, wrong credentials, no network, a full disk."""


class WorkspaceError(SegtasksError):
    """The workspace belongs to another job, or is damaged."""


class ResourceError(SegtasksError):
    """Memory, disk or workers do not suffice."""


class CrfError(SegtasksError):
    """A CRF parameter or array that would crash or silently poison the filter."""


class StageError(SegtasksError):
    """Some tiles of a stage could not be done; what is done is kept and a rerun resumes."""


_USER = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"(?<!\?)(?P<bare>(https?://|/vsi)[^?#]*)[?#].*$", re.DOTALL)
_QUERY_IN_TEXT = re.compile(
    r"""(?<!\?)(?P<bare>(https?://|/vsi)[^\s'"?#]*)[?#][^\s'"]*?(?=[.,:;)\]]*([\s'"]|$))"""
)
_SECRET = re.compile(
    r"\b(\w*(?:password|passwd|pwd|token|secret|signature|authorization)\w*\s*[=:]\s*)"
    r"""('[^']*'|"[^"]*"|[^\s&,;]+)""",
    re.IGNORECASE,
)


def redact_url(url: str) -> str:
    """Return ``url`` without user, query and passwords; a local path is unchanged.

    A signed link keeps its secret in the query (AWS ``X-Amz-Signature``, Azure ``sig``), so all of
    the query goes; GDAL's connection strings (``PG:... password=...``) lose their passwords. The
    keys of object stores have no query: a ``?`` in them is part of the name.
    """
    return _SECRET.sub(r"\1***", _QUERY.sub(r"\g<bare>", _USER.sub("", url)))


def redact_text(text: str) -> str:
    """Return ``text`` with the URLs in it redacted; libraries put them into their errors."""
    return _SECRET.sub(r"\1***", _QUERY_IN_TEXT.sub(r"\g<bare>", _USER.sub("", text)))
