"""Checks of memory and disk: a plan that cannot fit is refused, with options that would fit."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from segtasks.errors import ResourceError
from segtasks.planning import cost
from segtasks.planning.plan import Plan, Stage
from segtasks.planning.products import requested_products
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Grid
from segtasks.raster.patches import STEPS_PX
from segtasks.raster.units import GIB
from segtasks.storage import object_store

STORED_SHARE = 0.5  # imagery and probabilities seldom compress below half
MAKING = 3
"""Copies of a COG in TMPDIR while it is made: the plain one, overviews, the COG."""
SMALLER_PX = (1024, 512, 256)


def check_memory(plan: Plan, worker_bytes: int) -> None:
    """Refuse a plan whose tasks cannot fit ``worker_bytes``.

    Raises:
        ResourceError: with the stage, its need, the bound and what would make it fit.
    """
    need = cost.plan_cost(plan).worker_bytes
    stage = max(need, key=lambda name: need[name])
    if need[stage] <= worker_bytes:
        return
    changes = [_change(plan, name, worker_bytes) for name in need if need[name] > worker_bytes]
    remedy = " and ".join(dict.fromkeys(change for change in changes if change))
    smaller = f"use {remedy}, or give" if all(changes) else "nothing smaller fits; give"
    raise ResourceError(
        f"{stage} needs {need[stage] / GIB:.1f} GiB per worker, a worker has "
        f"{worker_bytes / GIB:.1f} GiB; {smaller} each worker {need[stage] / GIB:.1f} GiB (fewer "
        "--workers, or a higher --worker-memory-gib)"
    )


def _change(plan: Plan, stage: Stage, worker_bytes: int) -> str | None:
    """Return the smallest change of options with which a stage fits; ``None`` if none does."""
    for option, changed in _smaller(plan, stage):
        if cost.plan_cost(changed).worker_bytes[stage] <= worker_bytes:
            return option
    return None


def _smaller(plan: Plan, stage: Stage) -> Iterator[tuple[str, Plan]]:
    """Yield options and the plan with them; first those of tiles, which do not change the mask."""
    raster, patches, shrinks = plan.raster, plan.patches, STAGES[stage].shrinks
    if "window" in shrinks and plan.crf:
        for px in filter(plan.crf.windows.core_px.__gt__, SMALLER_PX):
            crf = replace(plan.crf, windows=Grid(raster.height, raster.width, px))
            yield f"--crf-window-px {px}", replace(plan, crf=crf, selected_bits={})
    tiles = [px for px in SMALLER_PX if px < plan.tiles.core_px and "tile" in shrinks]
    for px in tiles:
        grid = Grid(raster.height, raster.width, px)
        yield f"--tile-px {px}", replace(plan, tiles=grid, selected_bits={})
    if "patch" not in shrinks or (plan.card.graph and plan.card.graph.patch_px):
        return
    for step in STEPS_PX:
        if step < patches.step_px and step % patches.align_px == 0:
            smaller = replace(patches, step_px=step)
            option = f"--patch-px {smaller.patch_px} --overlap-px {2 * patches.margin_px}"
            for words, base in ((option, plan), *_with_tiles(option, plan, tiles)):
                yield words, replace(base, patches=smaller)


def _with_tiles(option: str, plan: Plan, tiles: list[int]) -> Iterator[tuple[str, Plan]]:
    """Yield the same options together with the smallest tiles."""
    for px in tiles[-1:]:
        grid = Grid(plan.raster.height, plan.raster.width, px)
        yield f"{option} --tile-px {px}", replace(plan, tiles=grid, selected_bits={})


def check_disk(plan: Plan) -> None:
    """Refuse a plan whose workspace, results or temporary files do not fit on this machine.

    Raises:
        ResourceError: names the folder, the bytes needed and the bytes free.
    """
    needs = disk_bytes(plan)
    for folder in needs:
        place = existing(folder)
        # What goes to one file system shares its space.
        on_it = [need for other, need in needs.items() if is_one_disk(existing(other), place)]
        free = shutil.disk_usage(place).free
        if sum(on_it) > free:
            raise ResourceError(
                f"{folder}: the job needs about {sum(on_it) / GIB:.1f} GiB on this disk, "
                f"{free / GIB:.1f} GiB are free; free some space, or give a --workspace or TMPDIR "
                "elsewhere"
            )


def disk_bytes(plan: Plan) -> dict[str, int]:
    """Return the bytes needed by local folder: workspace, destination and temporary files."""
    results, url = result_bytes(plan), plan.job.workspace_url
    cogs = results["mask"] + results.get("confidence", 0)
    made = max(MAKING * cogs, cogs + results.get("polygons", 0))
    needs = [
        (url, int(cost.plan_cost(plan).workspace_bytes * STORED_SHARE)),
        (plan.job.to, sum(results.values())),
        (tempfile.gettempdir(), made),
    ]
    return {folder: need for folder, need in needs if not object_store.is_remote(folder)}


def result_bytes(plan: Plan) -> dict[str, int]:
    """Return the estimated bytes of the products that weigh something, by name."""
    return {
        product.name: int(product.estimated_bytes(plan))
        for product in requested_products(plan.job)
        if product.estimated_bytes
    }


def existing(folder: str) -> Path:
    """Return the deepest folder of a path that exists."""
    path = object_store.local_path(folder)
    return next(each for each in (path, *path.parents) if each.exists())


def is_one_disk(one: Path, other: Path) -> bool:
    """Return whether two paths are on one file system."""
    return os.stat(one).st_dev == os.stat(other).st_dev  # noqa: PTH116 - the same
