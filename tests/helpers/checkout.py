"""Where things are in the checkout, and the tools that judge them."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.paths import ROOT

INFRA = ROOT / "infra"
BIN = Path(sys.executable).parent


def tool(name: str) -> str:
    """A program of this environment or of the machine."""
    found = shutil.which(name, path=BIN) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install -e .[dev]")
    return found


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file; the operator's, of 13,000 lines, need the parser in C."""
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))
