"""A small run of a plan's own: a few of its tiles, in a workspace of their own."""

from dataclasses import replace

from segtasks.grid import Selection, Tile
from segtasks.plan import Plan, Stage

SUFFIX = "-timing"


def units(plan: Plan, count: int) -> list[Tile]:
    """Tiles of the last stage, spread evenly over those that are done."""
    tiles = list(plan.selected(plan.stages[-1]))
    count = min(count, len(tiles))
    return [tiles[(2 * index + 1) * len(tiles) // (2 * count)] for index in range(count)]


def beside(plan: Plan) -> Plan:
    """The plan with a workspace of its own, beside the job's."""
    url = f"{plan.job.workspace_url}{SUFFIX}"
    return replace(plan, job=plan.job.model_copy(update={"workspace": url, "fresh": True}))


def sample(plan: Plan, chosen: list[Tile]) -> Plan:
    """The plan of these tiles of the last stage alone.

    What they compute they compute in full; what lies around is read where the CRF counts it, but
    not predicted: that takes no longer or shorter. Averages over the raster are left out, their
    forwards cost what others do.
    """
    last, grid = plan.stages[-1], plan.mask_grid
    tiles: dict[Stage, set[Tile]] = {last: set(chosen)}
    if plan.windows:
        cores = [grid.core(tile) for tile in chosen]
        tiles["predict"] = {each for core in cores for each in plan.tiles.touching(core)}
    windows = [plan.read_window(last, tile) for tile in chosen] if plan.windows else []
    around = {each for window in windows for each in plan.tiles.touching(window)}
    tiles["ingest"] = around | tiles["predict"]
    bits = {stage: _bits(plan, stage, found) for stage, found in tiles.items()}
    modes = replace(plan.modes, pooling="patch")
    return replace(plan, modes=modes, selected_bits=bits)


def _bits(plan: Plan, stage: Stage, tiles: set[Tile]) -> bytes:
    selected = plan.selected(stage)
    made = Selection.of(plan.grid(stage), (tile for tile in tiles if tile in selected))
    assert made.bits is not None
    return made.bits
