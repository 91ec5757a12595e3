"""The user's cache of what probing graphs has measured, so that no plan measures a graph twice.

    $XDG_CACHE_HOME/segtasks/probes/<key>.json        by default under ~/.cache

The key is a hash of the version of segtasks and of all fields that the card states, among them the
hash of the graph file. A changed graph or card is therefore measured again.
"""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any


def cache_file(stated: str) -> Path:
    """Return where the measurements for these fields are kept.

    Args:
        stated: the fields that the card states, as JSON.

    Raises:
        RuntimeError: the user has no home folder.
    """
    key = hashlib.sha256(f"{version('segtasks')};{stated}".encode()).hexdigest()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "segtasks", "probes", f"{key}.json")


def load(stated: str) -> dict[str, Any] | None:
    """Return the measurements kept for these fields; None when there are none that can be read."""
    try:
        measured = json.loads(cache_file(stated).read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError):
        return None
    return measured if isinstance(measured, dict) else None


def store(stated: str, measured: object) -> None:
    """Keep measurements. Where that is impossible, the next plan measures again."""
    try:
        target = cache_file(stated)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(f".{os.getpid()}.part")
        unfinished.write_text(json.dumps(measured), encoding="utf-8")
        unfinished.replace(target)
    except (OSError, RuntimeError):
        return
