"""Bytes that cross the network: source, workspace and results, where they are remote."""

from dataclasses import asdict, dataclass

from segtasks.planning import cost
from segtasks.planning.plan import Plan
from segtasks.planning.resource_check import STORED_SHARE, result_bytes
from segtasks.planning.stages import STAGES
from segtasks.raster.units import HALF_BYTES
from segtasks.storage import object_store, raster_reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes moved; 0 where a place is local.

    Attributes:
        source: read from the source; a block counts once for each tile that it belongs to.
        workspace_written: upper bound, after compression.
        workspace_read: the same; halos count once for each tile that reads them.
        results: all results that are asked for.
    """

    source: int
    workspace_written: int
    workspace_read: int
    results: int

    @property
    def total(self) -> int:
        """The sum of all."""
        return sum(asdict(self).values())


def traffic(plan: Plan) -> Traffic:
    """Return the bytes that a plan moves over the network.

    Raises:
        SourceError: the header of the source cannot be read.
    """
    is_remote = object_store.is_remote(plan.job.workspace_url)
    need = cost.plan_cost(plan)
    return Traffic(
        source=_source_bytes(plan) if object_store.is_remote(plan.job.source) else 0,
        workspace_written=int(need.workspace_bytes * STORED_SHARE) if is_remote else 0,
        workspace_read=int(_read_again(plan) * STORED_SHARE) if is_remote else 0,
        results=sum(result_bytes(plan).values()) if object_store.is_remote(plan.job.to) else 0,
    )


def _source_bytes(plan: Plan) -> int:
    """Return the bytes of the blocks of the source, as often as they are read."""
    blocks = raster_reader.blocks(plan.raster)
    touched = sum(blocks.touched_px(plan.tiles.core(tile)) for tile in plan.selected("ingest"))
    return int(touched * blocks.bytes_per_px)


def _read_again(plan: Plan) -> int:
    """Return what stages and publishing read of the workspace, before compression."""
    read = sum(
        STAGES[stage].read_bytes(plan) * plan.read_window(stage, tile).pixels
        for stage in plan.stages
        for tile in plan.selected(stage)
    )
    labels = 1 + (plan.confidence is not None)
    # Probabilities are published with the pixels where they are valid.
    probabilities = HALF_BYTES * plan.classes + 1 if plan.job.outputs.probabilities else 0
    return (
        read
        + labels * plan.selected(plan.mask_stage).pixels
        + probabilities * plan.selected("predict").pixels
    )
