"""Classes of a legend, written short."""

from segtasks.config.legend import ClassEntry


def classes(*rows: tuple[int, str, str]) -> tuple[ClassEntry, ...]:
    """Return the classes of rows of id, name and colour."""
    return tuple(ClassEntry(id=i, name=name, color=color) for i, name, color in rows)
