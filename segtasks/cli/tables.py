"""Tables of scores as text."""

from typing import Any


def rows(table: dict[str, Any]) -> list[str]:
    """Return a line for each score of ``table``; a dash stands for ``None``."""
    return [
        f"{name:<24} {'-' if value is None else f'{value:.4f}'}" for name, value in table.items()
    ]
