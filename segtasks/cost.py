"""What a plan costs: pixels forwarded per pixel kept, bytes in memory, bytes in the workspace."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from segtasks.grid import Grid
from segtasks.patches import Lattice
from segtasks.plan import Plan
from segtasks.slot import PROCESS_BYTES, TILES_IN_FLIGHT
from segtasks.windows import FLOAT_BYTES, HALF_BYTES, bytes_of_px

COMPONENT_BYTES, OUTLINE_BYTES = 60, 120  # per pixel of a core, on a mask full of speckles
RIM_PX, RIM_BYTES, EDGE_BYTES = 4, 200, 24  # a component every so many pixels of a rim


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Figures of a plan.

    Attributes:
        patch_factor: pixels of patches per pixel of the raster.
        forward_factor: pixels through the network per pixel of the raster: each patch at all its
            scales and angles, and once more where the raster is pooled first.
        crf_factor: pixels through the CRF per pixel of the raster; 0 without a CRF.
        worker_bytes: peak memory of one worker process per stage.
        workspace_bytes: what the workspace holds before compression.
    """

    tiles: int
    windows: int
    patch_factor: float
    forward_factor: float
    crf_factor: float
    worker_bytes: dict[str, int]
    workspace_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Peak memory of one worker process."""
        return max(self.worker_bytes.values())


def estimate(plan: Plan) -> Cost:
    """The cost of ``plan``."""
    patch_factor = _patch_factor(plan.tiles, plan.lattice)
    return Cost(
        tiles=len(plan.tiles),
        windows=len(plan.windows) if plan.windows else 0,
        patch_factor=patch_factor,
        forward_factor=patch_factor * plan.modes.forward_factor + _pool_factor(plan),
        crf_factor=_crf_factor(plan),
        worker_bytes={
            "ingest": PROCESS_BYTES
            + TILES_IN_FLIGHT * 2 * plan.tiles.core_px**2 * _pixel_bytes(plan),
            "pool": PROCESS_BYTES + _pool_bytes(plan),
            "predict": PROCESS_BYTES + _predict_bytes(plan),
            "refine": PROCESS_BYTES + _refine_bytes(plan),
            "components": PROCESS_BYTES + _sieve_bytes(plan),
            "sieve": PROCESS_BYTES + _sieve_bytes(plan) + _table_bytes(plan),
            "vectorise": PROCESS_BYTES + _vectorise_bytes(plan),
        },
        workspace_bytes=plan.raster.pixels * _stored_bytes(plan),
    )


def _pixel_bytes(plan: Plan) -> int:
    """Bytes of one pixel of the image and its validity."""
    return len(plan.bands) * np.dtype(plan.raster.dtype).itemsize + 1


def _stored_bytes(plan: Plan) -> int:
    is_kept = "probabilities" in plan.predicted
    probabilities = len(plan.card.classes) * HALF_BYTES if is_kept else 0
    labels = 1 + (plan.confidence is not None) + (plan.sieve_px > 0)
    return _pixel_bytes(plan) + probabilities + labels


def _patch_factor(tiles: Grid, lattice: Lattice) -> float:
    """Windows of patches are products of intervals, so the sum splits into rows times columns."""
    along = [
        _forwarded(length, tiles.core_px, lattice) for length in (lattice.height, lattice.width)
    ]
    return along[0] * along[1] / (lattice.height * lattice.width)


def _forwarded(length: int, core_px: int, lattice: Lattice) -> int:
    total = 0
    for start in range(0, length, core_px):
        first = max(0, start - lattice.reach_px) // lattice.step_px
        stop = min(start + core_px, length)
        last = (min(stop + lattice.reach_px, length) - 1) // lattice.step_px
        for cell in range(first, last + 1):
            low, high = lattice.span(cell * lattice.step_px, length)
            total += high - low
    return total


def _pool_factor(plan: Plan) -> float:
    """Every cell's patch once; its features alone, but those are nearly all of a forward."""
    if not plan.pools_raster:
        return 0.0
    rows, cols = (_spanned(length, plan.lattice) for length in plan.tiles.raster.shape)
    return rows * cols / plan.raster.pixels


def _spanned(length: int, lattice: Lattice) -> int:
    spans = (lattice.span(start, length) for start in range(0, length, lattice.step_px))
    return sum(stop - start for start, stop in spans)


def _largest_patch(lattice: Lattice) -> int:
    """Pixels of a patch, which no raster's border makes larger than the raster."""
    return int(min(lattice.patch_px, max(lattice.height, lattice.width)) ** 2)


def _pool_bytes(plan: Plan) -> int:
    """One forward, and what two cells read."""
    if not plan.pools_raster:
        return 0
    forward = plan.card.forward_bytes_per_px + FLOAT_BYTES * len(plan.bands)
    return _largest_patch(plan.lattice) * (forward + TILES_IN_FLIGHT * _pixel_bytes(plan))


def _predict_bytes(plan: Plan) -> int:
    """One forward, and twice what a tile reads and makes."""
    classes, lattice, patch_px = len(plan.card.classes), plan.lattice, _largest_patch(plan.lattice)
    core_px = min(plan.tiles.core_px, max(lattice.height, lattice.width)) ** 2
    read_px = max(core_px, patch_px) + 4 * lattice.margin_px * plan.tiles.core_px
    # Beside the mask, what is made of a patch's logits needs their softmax as well.
    maps = classes if len(plan.predicted) == 1 else 2 * classes
    forward = patch_px * (plan.seen.forward_bytes_per_px + FLOAT_BYTES * (len(plan.bands) + maps))
    tile = read_px * _pixel_bytes(plan) + core_px * (
        classes * (FLOAT_BYTES + HALF_BYTES) + FLOAT_BYTES
    )
    return forward + TILES_IN_FLIGHT * tile


def _refine_bytes(plan: Plan) -> int:
    if plan.windows is None or plan.crf is None:
        return 0
    side = min(
        plan.windows.core_px + 2 * plan.crf_halo_px, max(plan.raster.height, plan.raster.width)
    )
    bands, classes = len(plan.bands), len(plan.card.classes)
    return side**2 * bytes_of_px(plan.raster, bands, classes, plan.crf_backend)


def _sieve_bytes(plan: Plan) -> int:
    return TILES_IN_FLIGHT * _core_px(plan) * COMPONENT_BYTES if plan.sieve_px else 0


def _table_bytes(plan: Plan) -> int:
    """Components on tile borders, of all tiles, where one begins every few pixels."""
    rows, cols = plan.tiles.shape
    rims_px = 2 * (rows * plan.raster.width + cols * plan.raster.height)
    return rims_px // RIM_PX * RIM_BYTES + rims_px * EDGE_BYTES if plan.sieve_px else 0


def _vectorise_bytes(plan: Plan) -> int:
    return TILES_IN_FLIGHT * _core_px(plan) * OUTLINE_BYTES if plan.job.vectors else 0


def _core_px(plan: Plan) -> int:
    return int(min(plan.tiles.core_px, max(plan.raster.height, plan.raster.width)) ** 2)


def _crf_factor(plan: Plan) -> float:
    if plan.windows is None:
        return 0.0
    rows = _read(plan.raster.height, plan.windows.core_px, plan.crf_halo_px)
    cols = _read(plan.raster.width, plan.windows.core_px, plan.crf_halo_px)
    return rows * cols / plan.raster.pixels


def _read(length: int, core_px: int, halo_px: int) -> int:
    starts = [index * core_px for index in range(ceil(length / core_px))]
    return sum(min(length, start + core_px + halo_px) - max(0, start - halo_px) for start in starts)
