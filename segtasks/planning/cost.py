"""What a plan costs: pixels forwarded per pixel kept, bytes in memory, bytes in the workspace."""

from dataclasses import dataclass

import numpy as np

from segtasks.planning.crf_windows import bytes_of_px
from segtasks.planning.plan import Plan, Stage
from segtasks.planning.worker import PROCESS_BYTES, TILES_IN_FLIGHT
from segtasks.raster.grid import Tile
from segtasks.raster.patches import PatchGrid
from segtasks.raster.units import FLOAT_BYTES, HALF_BYTES

COMPONENT_BYTES, OUTLINE_BYTES = 60, 120  # per pixel of a core, on a mask full of speckles
RIM_PX, RIM_BYTES, EDGE_BYTES = 4, 200, 24  # a component every so many pixels of a rim
RIM_STORED_BYTES, DRAWN_STORED_BYTES = 20, 1.0  # of tables: per pixel of a rim, and of a core


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Figures of a plan; of its selected tiles, where not all are done.

    Attributes:
        patch_factor: pixels of patches per pixel kept.
        forward_factor: pixels through the network per pixel kept: each patch at all its scales
            and angles, and once more where the raster is pooled first.
        crf_factor: pixels through the CRF per pixel kept; 0 without a CRF.
        work_px: pixels that each stage computes, whatever becomes of them.
        worker_bytes: peak memory of one worker process per stage.
        workspace_bytes: what the workspace holds before compression.
    """

    tiles: int
    windows: int
    patch_factor: float
    forward_factor: float
    crf_factor: float
    work_px: dict[Stage, float]
    worker_bytes: dict[str, int]
    workspace_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Peak memory of one worker process."""
        return max(self.worker_bytes.values())


def plan_cost(plan: Plan) -> Cost:
    """The cost of ``plan``."""
    work = {stage: _work_px(plan, stage) for stage in plan.stages}
    kept = {stage: max(1, plan.selected(stage).pixels) for stage in plan.stages}
    predicted = work["predict"] / kept["predict"]
    return Cost(
        tiles=len(plan.selected("predict")),
        windows=len(plan.selected("refine")) if plan.windows else 0,
        patch_factor=predicted / plan.modes.forward_factor,
        forward_factor=predicted + work.get("pool", 0) / kept["predict"],
        crf_factor=work["refine"] / kept["refine"] if plan.windows else 0.0,
        work_px=work,
        worker_bytes={
            "ingest": PROCESS_BYTES
            + TILES_IN_FLIGHT * 2 * plan.tiles.core_px**2 * pixel_bytes(plan),
            "pool": PROCESS_BYTES + _pool_bytes(plan),
            "predict": PROCESS_BYTES + _predict_bytes(plan),
            "refine": PROCESS_BYTES + _refine_bytes(plan),
            "components": PROCESS_BYTES + _sieve_bytes(plan),
            "sieve": PROCESS_BYTES + _sieve_bytes(plan) + _table_bytes(plan),
            "vectorise": PROCESS_BYTES + _vectorise_bytes(plan),
        },
        workspace_bytes=_stored_bytes(plan),
    )


def tile_px(plan: Plan, stage: Stage, tile: Tile) -> float:
    """Pixels that a tile of a stage computes: copied, forwarded, or filtered."""
    if stage == "predict":
        rows, cols = _forwarded(plan, 0, tile.row), _forwarded(plan, 1, tile.col)
        return rows * cols * plan.modes.forward_factor
    return float(plan.read_window(stage, tile).pixels)


def _work_px(plan: Plan, stage: Stage) -> float:
    """Of all tiles of a stage: windows are products of intervals, so rows and columns do."""
    if stage != "predict":
        return float(sum(plan.read_window(stage, tile).pixels for tile in plan.selected(stage)))
    rows, cols = plan.tiles.shape
    along = [_forwarded(plan, 0, row) for row in range(rows)]
    across = [_forwarded(plan, 1, col) for col in range(cols)]
    total = sum(along[tile.row] * across[tile.col] for tile in plan.selected(stage))
    return total * plan.modes.forward_factor


def _forwarded(plan: Plan, axis: int, index: int) -> int:
    """Summed lengths, along one axis, of the patches that give something to a row of tiles."""
    lattice, core_px, length = plan.lattice, plan.tiles.core_px, plan.tiles.raster.shape[axis]
    start, stop = index * core_px, min((index + 1) * core_px, length)
    first = max(0, start - lattice.reach_px) // lattice.step_px
    last = (min(stop + lattice.reach_px, length) - 1) // lattice.step_px
    spans = (lattice.span(cell * lattice.step_px, length) for cell in range(first, last + 1))
    return sum(high - low for low, high in spans)


def pixel_bytes(plan: Plan) -> int:
    """Bytes of one pixel of the image and its validity."""
    return len(plan.bands) * np.dtype(plan.raster.dtype).itemsize + 1


def _stored_bytes(plan: Plan) -> int:
    is_kept = "probabilities" in plan.predicted
    probabilities = len(plan.card.classes) * HALF_BYTES if is_kept else 0
    labels = 1 + (plan.confidence is not None)
    ingested, predicted = plan.selected("ingest").pixels, plan.selected("predict").pixels
    masked = plan.selected(plan.mask_stage).pixels * labels
    cleaned = plan.selected("sieve").pixels if plan.sieve_px else 0
    arrays = ingested * pixel_bytes(plan) + predicted * probabilities + masked + cleaned
    return arrays + _stored_table_bytes(plan)


def _stored_table_bytes(plan: Plan) -> int:
    """What tiles leave of their pieces: as long as their rims, and polygons as their outlines."""
    parts = _rims_px(plan, "components") * RIM_STORED_BYTES if plan.sieve_px else 0
    drawn = plan.selected("vectorise").pixels * DRAWN_STORED_BYTES if plan.job.vectors else 0
    return int(parts + drawn)


def _largest_patch(lattice: PatchGrid) -> int:
    """Pixels of a patch, which no raster's border makes larger than the raster."""
    return int(min(lattice.patch_px, max(lattice.height, lattice.width)) ** 2)


def _pool_bytes(plan: Plan) -> int:
    """One forward, and what two cells read."""
    if not plan.pools_raster:
        return 0
    forward = plan.card.forward_bytes_per_px + FLOAT_BYTES * len(plan.bands)
    return _largest_patch(plan.lattice) * (forward + TILES_IN_FLIGHT * pixel_bytes(plan))


def _predict_bytes(plan: Plan) -> int:
    """One forward, and twice what a tile reads and makes."""
    classes, lattice, patch_px = len(plan.card.classes), plan.lattice, _largest_patch(plan.lattice)
    core_px = min(plan.tiles.core_px, max(lattice.height, lattice.width)) ** 2
    read_px = max(core_px, patch_px) + 4 * lattice.margin_px * plan.tiles.core_px
    # Beside the mask, what is made of a patch's logits needs their softmax as well.
    maps = classes if len(plan.predicted) == 1 else 2 * classes
    forward = patch_px * (plan.seen.forward_bytes_per_px + FLOAT_BYTES * (len(plan.bands) + maps))
    tile = read_px * pixel_bytes(plan) + core_px * (
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
    rims_px = _rims_px(plan, "components") if plan.sieve_px else 0
    return rims_px // RIM_PX * RIM_BYTES + rims_px * EDGE_BYTES


def _rims_px(plan: Plan, stage: Stage) -> int:
    """Length of the rims of a stage's tiles."""
    cores = (plan.grid(stage).core(tile) for tile in plan.selected(stage))
    return sum(2 * (core.height + core.width) for core in cores)


def _vectorise_bytes(plan: Plan) -> int:
    return TILES_IN_FLIGHT * _core_px(plan) * OUTLINE_BYTES if plan.job.vectors else 0


def _core_px(plan: Plan) -> int:
    return int(min(plan.tiles.core_px, max(plan.raster.height, plan.raster.width)) ** 2)
