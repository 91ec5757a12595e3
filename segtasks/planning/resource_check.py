"""What cannot fit is refused before it is begun, with what would."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from segtasks.errors import ResourceError
from segtasks.planning import cost
from segtasks.planning.crf_windows import HALF_BYTES
from segtasks.planning.plan import Plan, Stage
from segtasks.planning.products import result_urls
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Grid
from segtasks.raster.patches import STEPS_PX
from segtasks.storage import object_store

GIB = 2**30
STORED_SHARE = 0.5  # imagery and probabilities seldom compress below half
MASK_SHARE = 0.1
"""Bytes per pixel of a mask as COG: 0.05 measured on scenes of six classes."""
CONFIDENCE_SHARE = 0.6
"""The same of the confidence: 0.01 to 0.57 measured on 46 scenes."""
POLYGONS_SHARE = 1.0
"""The same of polygons along all pixels' edges, of labels of the usual grain (docs/vectors.md)."""
PICTURE_BYTES, PICTURES = 2**20, 4
"""About what a picture of a whole raster takes, however large that is; as many are in a report."""
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
    mend = " and ".join(dict.fromkeys(change for change in changes if change))
    smaller = f"use {mend}, or give" if all(changes) else "nothing smaller fits; give"
    raise ResourceError(
        f"{stage} needs {need[stage] / GIB:.1f} GiB per worker, a worker has "
        f"{worker_bytes / GIB:.1f} GiB; {smaller} each worker {need[stage] / GIB:.1f} GiB (fewer "
        "--workers, or a higher --worker-memory-gib)"
    )


def _change(plan: Plan, stage: Stage, worker_bytes: int) -> str | None:
    """The option with which a stage fits, the one that changes least; ``None`` if none does."""
    for option, changed in _smaller(plan, stage):
        if cost.plan_cost(changed).worker_bytes[stage] <= worker_bytes:
            return option
    return None


def _smaller(plan: Plan, stage: Stage) -> Iterator[tuple[str, Plan]]:
    """Options and the plan with them: of the tiles, of which the mask does not depend, first."""
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
    """The smallest tiles as well."""
    for px in tiles[-1:]:
        grid = Grid(plan.raster.height, plan.raster.width, px)
        yield f"{option} --tile-px {px}", replace(plan, tiles=grid, selected_bits={})


def check_disk(plan: Plan) -> None:
    """Refuse a plan whose workspace, results or temporary files find no room on this machine.

    Raises:
        ResourceError: naming the folder, the need and what is free.
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
    """Bytes by local folder: workspace, destination and what is temporary."""
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
    """Bytes of the results that weigh something, by name."""
    labelled = plan.selected(plan.mask_stage).pixels
    probabilities = plan.selected("predict").pixels * len(plan.card.classes) * HALF_BYTES
    sizes = {
        "mask": labelled * MASK_SHARE,
        "confidence": labelled * CONFIDENCE_SHARE,
        "probabilities": probabilities * STORED_SHARE,
        "polygons": labelled * POLYGONS_SHARE,
        "quicklook": PICTURE_BYTES,
        "report": PICTURES * PICTURE_BYTES,
    }
    asked = result_urls(plan)
    return {name: int(size) for name, size in sizes.items() if name in asked}


def existing(folder: str) -> Path:
    """The deepest folder of a path that is there."""
    path = object_store.local_path(folder)
    return next(each for each in (path, *path.parents) if each.exists())


def is_one_disk(one: Path, other: Path) -> bool:
    """Whether two paths are on one file system."""
    return os.stat(one).st_dev == os.stat(other).st_dev  # noqa: PTH116 - the same
