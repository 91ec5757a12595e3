"""Prefixes that results go to."""

from collections.abc import Iterable

from segtasks.errors import DestinationError
from segtasks.storage import objects


def require_free(prefix: str, names: Iterable[str], *, overwrite: bool) -> None:
    """Refuse a prefix before work starts.

    Args:
        prefix: a folder or ``s3://bucket/prefix``.
        names: of the files that will be written under it.
        overwrite: whether they may be replaced.

    Raises:
        DestinationError: one is there and may not be replaced, or nothing can be written.
    """
    there = [name for name in names if objects.exists(f"{prefix}/{name}")]
    if there and not overwrite:
        raise DestinationError(
            f"{prefix}/{there[0]}: is there already; choose another --to or give --overwrite"
        )
    objects.require_writable(prefix)
