"""Find masks by a pattern, and the labels of each.

    out/*/*/mask.tif  with  labels/{1}/{2}.png

A star matches any text without slashes; {1}, {2} … are replaced by the texts matched by the stars.
"""

import os
import re
from collections.abc import Iterator, Sequence

from segtasks.config.evaluation_job import MaskPair
from segtasks.errors import JobError
from segtasks.storage import object_store


def find_masks(pairs: Sequence[MaskPair]) -> tuple[MaskPair, ...]:
    """Return the pairs with patterns replaced by the masks they match, sorted.

    Raises:
        JobError: a pattern finds nothing, or has a double star.
    """
    return tuple(found for pair in pairs for found in _expanded(pair))


def _expanded(pair: MaskPair) -> Iterator[MaskPair]:
    if "*" not in pair.mask or object_store.exists(pair.mask):
        yield pair
        return
    # A listing has no "./" and no "a/../b".
    is_remote = object_store.is_remote(pair.mask)
    pattern = pair.mask if is_remote else os.path.normpath(pair.mask.removeprefix("file://"))
    found = [] if "**" in pattern else object_store.find(pattern)
    if not found:
        raise JobError(
            f"{pair.mask}: matches no mask; check it, with one * per folder or file name"
        )
    expression = re.compile("([^/]*)".join(map(re.escape, pattern.split("*"))))
    for url in found:
        match = expression.fullmatch(url)
        assert match is not None
        yield _filled(pair, url, match.groups())


def _filled(pair: MaskPair, mask: str, stars: Sequence[str]) -> MaskPair:
    """Return the pair of one mask, with {1}, {2} … replaced."""
    values = {key: value for key, value in pair.model_dump().items() if value is not None}
    for number, star in enumerate(stars, start=1):
        values = {key: value.replace(f"{{{number}}}", star) for key, value in values.items()}
    return MaskPair(**values | {"mask": mask})
