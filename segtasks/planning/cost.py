"""What a plan costs: pixels forwarded per pixel kept, bytes in memory, bytes in the workspace."""

from dataclasses import dataclass

from segtasks.planning.plan import Plan, Stage
from segtasks.planning.stages import STAGES
from segtasks.planning.worker import PROCESS_BYTES
from segtasks.raster.grid import Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Figures of a plan; of its selected tiles, where not all are done.

    Attributes:
        patch_factor: pixels of patches per pixel kept.
        forward_factor: pixels through the network per pixel kept: each patch at all its scales
            and angles, and once more where the raster is pooled first.
        crf_factor: pixels through the CRF per pixel kept; 0 without a CRF.
        work_px: pixels that each stage computes, including those that are cut off.
        worker_bytes: peak memory of one worker process per stage.
        workspace_bytes: size of the workspace before compression.
    """

    tiles: int
    windows: int
    patch_factor: float
    forward_factor: float
    crf_factor: float
    work_px: dict[Stage, float]
    worker_bytes: dict[Stage, int]
    workspace_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Peak memory of one worker process."""
        return max(self.worker_bytes.values())


def plan_cost(plan: Plan) -> Cost:
    """Return the cost of ``plan``."""
    work = {
        stage: sum(tile_px(plan, stage, tile) for tile in plan.selected(stage))
        for stage in plan.stages
    }
    kept = {stage: max(1, plan.selected(stage).pixels) for stage in plan.stages}
    predicted = work["predict"] / kept["predict"]
    return Cost(
        tiles=len(plan.selected("predict")),
        windows=len(plan.selected("refine")) if plan.crf else 0,
        patch_factor=predicted / plan.tta.forward_factor,
        forward_factor=predicted + work.get("pool", 0) / kept["predict"],
        crf_factor=work["refine"] / kept["refine"] if plan.crf else 0.0,
        work_px=work,
        worker_bytes={
            name: PROCESS_BYTES + (spec.worker_bytes(plan) if spec.when(plan) else 0)
            for name, spec in STAGES.items()
        },
        workspace_bytes=int(sum(_stored_bytes(plan, stage) for stage in plan.stages)),
    )


def tile_px(plan: Plan, stage: Stage, tile: Tile) -> float:
    """Pixels that a tile of a stage copies, forwards or filters."""
    work_px = STAGES[stage].work_px
    return work_px(plan, tile) if work_px else float(plan.read_window(stage, tile).pixels)


def _stored_bytes(plan: Plan, stage: Stage) -> float:
    """Bytes that a stage leaves in the workspace: arrays and tables."""
    pixels = plan.selected(stage).pixels
    per_px = sum(spec.pixel_bytes for spec in plan.arrays(stage).values())
    return pixels * per_px + STAGES[stage].stored_bytes(plan, pixels)
