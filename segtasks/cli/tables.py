"""Figures by name, on a terminal."""

from typing import Any


def rows(table: dict[str, Any]) -> list[str]:
    """Return a line for each figure; a dash where there is none."""
    return [
        f"{name:<24} {'-' if value is None else f'{value:.4f}'}" for name, value in table.items()
    ]
