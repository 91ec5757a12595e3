"""A timing sample: a plan of a few tiles of a job, with a workspace of its own."""

from dataclasses import replace
from itertools import pairwise

from segtasks.planning.plan import Plan, Stage
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Tile, TileSelection, Window

SUFFIX = "-timing"


def sample_tiles(plan: Plan, count: int) -> list[Tile]:
    """Return ``count`` tiles of the last stage, spread evenly over those to be done."""
    tiles = list(plan.selected(plan.stages[-1]))
    count = min(count, len(tiles))
    return [tiles[(2 * index + 1) * len(tiles) // (2 * count)] for index in range(count)]


def with_own_workspace(plan: Plan) -> Plan:
    """Return the plan with a second workspace next to that of the job."""
    url = f"{plan.job.workspace_url}{SUFFIX}"
    return replace(plan, job=plan.job.model_copy(update={"workspace": url, "fresh": True}))


def sample_plan(plan: Plan, chosen: list[Tile]) -> Plan:
    """Return the plan of these tiles of the last stage alone.

    Its tiles do their full work. What lies around a CRF window is ingested but not predicted: the
    CRF takes as long with any probabilities. Averages over the raster are left out, since their
    forwards cost what others do.
    """
    small = replace(plan, tta=replace(plan.tta, pooling="patch"), selected_bits={})
    last = small.stages[-1]
    tiles: dict[Stage, set[Tile]] = {last: set(chosen)}
    around: list[Window] = []
    for stage, before in pairwise(reversed(small.stages)):
        cores = [small.grid(stage).core(tile) for tile in tiles[stage]]
        tiles[before] = {each for core in cores for each in small.grid(before).touching(core)}
        if STAGES[stage].timed_with_halo:
            around += [small.read_window(stage, tile) for tile in tiles[stage]]
    first = small.stages[0]
    tiles[first] |= {each for window in around for each in small.grid(first).touching(window)}
    return replace(
        small, selected_bits={stage: _bits(plan, stage, tiles[stage]) for stage in tiles}
    )


def _bits(plan: Plan, stage: Stage, tiles: set[Tile]) -> bytes:
    selected = plan.selected(stage)
    made = TileSelection.of(plan.grid(stage), (tile for tile in tiles if tile in selected))
    assert made.bits is not None
    return made.bits
