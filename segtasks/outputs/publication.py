"""What the makers of products are given, and what they return."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from segtasks.planning.plan import Plan
from segtasks.planning.products import result_urls
from segtasks.storage.cog import ClassBand


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The products of one run while they are made.

    Attributes:
        plan: what was done.
        rasters: temporary files of the COGs that are made so far, by name of the product.
        files: closes the temporary files once everything is published.
        on_tile: to be called for each tile that is copied from the workspace.
        started: when making the products started, by `time.perf_counter`.
    """

    plan: Plan
    rasters: dict[str, Path] = field(default_factory=dict)
    files: ExitStack = field(default_factory=ExitStack)
    on_tile: Callable[[], None] = lambda: None
    started: float = field(default_factory=time.perf_counter)

    @property
    def urls(self) -> dict[str, str]:
        """Where each product that is asked for goes, by name."""
        return result_urls(self.plan)

    @property
    def class_band(self) -> ClassBand:
        """The band of the mask, with the names and colours of its classes."""
        return class_band(self.plan)


Made = bytes | Callable[[], object]
"""The content of a small file; or a function that puts a large one at its URL."""

Maker = Callable[[Publication], Made]
"""Makes a product from the finished arrays in the workspace; nothing is at its URL yet."""


def class_band(plan: Plan) -> ClassBand:
    """Return the band of the mask, with the names and colours of the classes of the model."""
    return ClassBand(classes=plan.card.classes)
