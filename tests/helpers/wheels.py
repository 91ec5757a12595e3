"""An installed wheel, apart from the checkout."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Installed:
    """An environment: its Python, the command `segtasks`, and the folder of packages."""

    python: Path
    command: Path
    packages: Path


def bare() -> dict[str, str]:
    """The environment without what would let Python find the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
