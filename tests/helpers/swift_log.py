"""A filter for Swift's proxy that writes one JSON line per request: what a client really asked."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def factory(_global: dict[str, str], **options: str) -> Callable[[App], App]:
    """Paste's way to make a filter; ``path`` is the file to write to."""
    path = Path(options["path"])

    def filtered(app: App) -> App:
        def logged(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
                length = {key.lower(): value for key, value in headers}.get("content-length")
                _append(path, environ, int(status[:3]), int(length or 0))
                return start_response(status, headers, *rest)

            return app(environ, start)

        return logged

    return filtered


def _append(path: Path, environ: Environ, status: int, length: int) -> None:
    row = {
        "time": time.time(),
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ.get("QUERY_STRING", ""),
        "range": environ.get("HTTP_RANGE"),
        "status": status,
        "length": length,
    }
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
