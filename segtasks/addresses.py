"""Urls as they may be shown: results travel further than the credentials they were made with."""

import re

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


def public(url: str) -> str:
    """``url`` without user, query and passwords; a local path as it is.

    A signed link keeps its secret in the query (AWS ``X-Amz-Signature``, Azure ``sig``), so all of
    the query goes; GDAL's connection strings (``PG:... password=...``) lose their passwords. The
    keys of object stores have no query: a ``?`` in them is a letter.
    """
    return _SECRET.sub(r"\1***", _QUERY.sub(r"\g<bare>", _USER.sub("", url)))


def without_secrets(text: str) -> str:
    """``text`` with the urls in it as `public` shows them: libraries put them into their errors."""
    return _SECRET.sub(r"\1***", _QUERY_IN_TEXT.sub(r"\g<bare>", _USER.sub("", text)))
