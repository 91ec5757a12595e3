"""Masks and labels on disk."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.masks import Ids, Write, write_ids


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes class ids (h, w) as a GeoTIFF and returns its path."""

    def made(name: str, ids: Ids, **changes: Any) -> str:  # noqa: ANN401
        return write_ids(tmp_path / name, ids, **changes)

    return made
