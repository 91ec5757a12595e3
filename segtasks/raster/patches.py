"""Patches: the inputs of the network, on one grid anchored to pixel (0, 0) of the raster.

    |mm|sssssss|mm|                      patch 0: its cell s and a margin m on both sides
            |mm|sssssss|mm|              patch 1: starts one step later
    patch = step + 2 margin, overlap = patch - step = 2 margin

The cells partition the raster. With ``crop``, only the cell of each patch is kept. With ``blend``,
the whole patch is kept with weights: the result is the sum of weight x output over the sum of the
weights, so raster borders need no special case. No patch reaches beyond the raster; there the
network pads as it does for a whole image. The first and last patches are moved inwards instead, so
that the patches of all whole cells have one size (a process that sees few sizes needs less memory).
A patch does not depend on the tile that requests it, so the network's output does not either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from segtasks.errors import JobError
from segtasks.raster.grid import Grid, Tile, Window
from segtasks.raster.units import GIB

Stitch = Literal["crop", "blend"]
FloatArray = npt.NDArray[np.float32]

STEPS_PX = (2048, 1024, 512, 256, 128, 64)
FORWARD_BUDGET_BYTES = 2 * GIB


@dataclass(frozen=True, slots=True)
class Patch:
    """One network input: the ``cell`` it covers and the ``window`` that is read for it."""

    cell: Window
    window: Window


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """All patches of a raster.

    Attributes:
        height: rows of the raster.
        width: columns of the raster.
        step_px: side of a cell.
        margin_px: margin of a patch around its cell.
        stitch: "crop" or "blend".
        align_px: the network's stride; patches start and end at multiples of it.

    Raises:
        JobError: step or margin are no multiple of the network's stride, or the step is zero.
    """

    height: int
    width: int
    step_px: int
    margin_px: int
    stitch: Stitch
    align_px: int = 1

    def __post_init__(self) -> None:
        for name, value in (("patch - overlap", self.step_px), ("overlap / 2", self.margin_px)):
            if value % self.align_px or value < 0:
                below = max(0, value // self.align_px * self.align_px)
                raise JobError(
                    f"{name} is {value} px, which is not a multiple of {self.align_px} px (the "
                    f"network's stride); use {below} or {below + self.align_px}"
                )
        if self.step_px < 1:
            raise JobError(
                f"overlap {2 * self.margin_px} px leaves no step of the patch: "
                "make the patch larger or the overlap smaller"
            )

    @property
    def cells(self) -> Grid:
        """The partition of the raster into cells."""
        return Grid(self.height, self.width, self.step_px)

    @property
    def patch_px(self) -> int:
        """The side of a patch that is not clipped at the raster's border."""
        return self.step_px + 2 * self.margin_px

    @property
    def reach_px(self) -> int:
        """How far beyond its cell a patch is kept, in pixels: 0 for crop, the margin for blend."""
        return 0 if self.stitch == "crop" else self.margin_px

    def touching(self, core: Window) -> Iterator[Patch]:
        """Yield the patches that contribute to ``core``, in row order."""
        return map(self.patch, self.cells.touching(core.grow(self.reach_px)))

    def patch(self, index: Tile) -> Patch:
        """Return the patch whose cell has this index in `cells`."""
        cell = self.cells.core(index)
        row, row_stop = self.span(cell.row, self.height)
        col, col_stop = self.span(cell.col, self.width)
        return Patch(cell, Window(row, col, row_stop - row, col_stop - col))

    def span(self, cell_start: int, length: int) -> tuple[int, int]:
        """Return start and stop of a patch along one axis.

        Args:
            cell_start: first pixel of the patch's cell.
            length: length of the raster along this axis.
        """
        start = max(0, cell_start - self.margin_px)
        stop = min(length, cell_start + self.step_px + self.margin_px)
        if cell_start + self.step_px <= length:
            # The patch of a whole cell is as long as all others and starts at a multiple of align.
            stop = min(length, max(stop, start + self.patch_px))
            last = max(0, length - self.patch_px) // self.align_px * self.align_px
            start = min(start, last)
        return start, stop

    def read_window(self, core: Window) -> Window:
        """Return the smallest window that contains every patch touching ``core``."""
        window = core
        for patch in self.touching(core):
            window = window.hull(patch.window)
        return window

    def kept(self, patch: Patch) -> Window:
        """Return the part of ``patch`` that is kept in the mosaic."""
        return patch.cell.grow(self.reach_px).intersect(self.cells.raster)

    def weight(self, patch: Patch) -> FloatArray:
        """Return the weights (h, w) of the kept part: the product of one ramp per axis."""
        kept = self.kept(patch)
        rows = self._ramp(patch.cell.row, kept.row, kept.height)
        cols = self._ramp(patch.cell.col, kept.col, kept.width)
        return np.outer(rows, cols).astype(np.float32)

    def _ramp(self, cell_start: int, start: int, length: int) -> npt.NDArray[np.float64]:
        """Return the weights along one axis: sin² over the overlap, 1 inside, ~0 at the edge."""
        # Where the raster's border clips the patch, the ramp is cut off. The division by the sum of
        # the weights corrects for that.
        position = np.arange(start, start + length) - (cell_start - self.reach_px) + 0.5
        side = self.step_px + 2 * self.reach_px
        distance = np.minimum(position, side - position)
        width = max(2 * self.reach_px, 1)
        return np.asarray(np.sin(np.pi / 2 * np.clip(distance / width, 0, 1)) ** 2)


def halo_factor(step_px: int, margin_px: int) -> float:
    """Return the number of pixels the network processes per pixel kept, inside a large raster."""
    return ((step_px + 2 * margin_px) / step_px) ** 2


def largest_step(forward_bytes_per_px: int, margin_px: int, align_px: int) -> int:
    """Return the largest step, a multiple of ``align_px``, whose forward pass fits the budget.

    The budget is a constant instead of the machine's memory so that the mask is the same on every
    machine.
    """
    steps = [max(step // align_px, 1) * align_px for step in STEPS_PX]
    for step in steps:
        if (step + 2 * margin_px) ** 2 * forward_bytes_per_px <= FORWARD_BUDGET_BYTES:
            return step
    return steps[-1]
