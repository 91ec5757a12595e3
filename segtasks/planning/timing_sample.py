"""A small run of a plan's own: a few of its tiles, in a workspace of their own."""

from collections.abc import Iterable
from dataclasses import replace

from segtasks.planning.plan import Plan, Stage
from segtasks.raster.grid import Grid, Tile, TileSelection, Window

SUFFIX = "-timing"


def sample_tiles(plan: Plan, count: int) -> list[Tile]:
    """Tiles of the last stage, spread evenly over those that are done."""
    tiles = list(plan.selected(plan.stages[-1]))
    count = min(count, len(tiles))
    return [tiles[(2 * index + 1) * len(tiles) // (2 * count)] for index in range(count)]


def with_own_workspace(plan: Plan) -> Plan:
    """The plan with a workspace of its own, beside the job's."""
    url = f"{plan.job.workspace_url}{SUFFIX}"
    return replace(plan, job=plan.job.model_copy(update={"workspace": url, "fresh": True}))


def sample_plan(plan: Plan, chosen: list[Tile]) -> Plan:
    """The plan of these tiles of the last stage alone.

    What they compute they compute in full; what lies around is read where the CRF counts it, but
    not predicted: that takes no longer or shorter. Averages over the raster are left out, their
    forwards cost what others do.
    """
    grid = plan.grid(plan.stages[-1])
    made = _touching(plan.mask_grid, [grid.core(tile) for tile in chosen])
    tiles: dict[Stage, set[Tile]] = {stage: set(chosen) for stage in plan.after_mask}
    tiles[plan.mask_stage] = made
    if plan.windows:
        tiles["predict"] = _touching(plan.tiles, [plan.windows.core(tile) for tile in made])
    windows = [plan.read_window("refine", tile) for tile in made] if plan.windows else []
    tiles["ingest"] = _touching(plan.tiles, windows) | tiles["predict"]
    bits = {stage: _bits(plan, stage, found) for stage, found in tiles.items()}
    modes = replace(plan.modes, pooling="patch")
    return replace(plan, modes=modes, selected_bits=bits)


def _touching(grid: Grid, windows: Iterable[Window]) -> set[Tile]:
    return {tile for window in windows for tile in grid.touching(window)}


def _bits(plan: Plan, stage: Stage, tiles: set[Tile]) -> bytes:
    selected = plan.selected(stage)
    made = TileSelection.of(plan.grid(stage), (tile for tile in tiles if tile in selected))
    assert made.bits is not None
    return made.bits
