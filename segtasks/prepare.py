"""Before the first tile: refuse what cannot work, open the workspace or make it."""

import shutil
from importlib.metadata import version

from segtasks import cost
from segtasks.errors import ResourceError, WorkspaceError
from segtasks.grid import Tile
from segtasks.plan import Plan, Stage, with_settled
from segtasks.settled import Settled
from segtasks.storage import objects, receipts, workspace
from segtasks.storage.workspace import ArraySpec

MASK_LEVEL = 3
SETTLED = "settled"
STORED_SHARE = 0.5  # imagery and probabilities seldom compress below half


def check_memory(plan: Plan, worker_bytes: int) -> None:
    """Refuse a plan whose tasks cannot fit ``worker_bytes``.

    Raises:
        ResourceError: with the stage, its need, the bound and what would make it fit.
    """
    need = cost.estimate(plan).worker_bytes
    stage = max(need, key=lambda name: need[name])
    if need[stage] <= worker_bytes:
        return
    mend = {
        "ingest": "a smaller --tile-px",
        "pool": "a smaller --patch-px",
        "predict": "a smaller --patch-px or --tile-px",
        "refine": "a smaller --crf-window-px or --crf-bi-xy-std",
    }[stage]
    raise ResourceError(
        f"{stage} needs {need[stage] / 2**30:.1f} GiB per worker, a worker has "
        f"{worker_bytes / 2**30:.1f} GiB; use fewer --workers, {mend}, "
        "or a higher --worker-memory-gib"
    )


def prepare(plan: Plan) -> None:
    """Make sure that the results can be written, and open the workspace.

    Raises:
        DestinationError: the destination or the workspace cannot be written.
        WorkspaceError: the workspace was begun with other settings.
        ResourceError: the disk is too small.
    """
    url = plan.job.workspace_url
    objects.require_writable(plan.job.to)
    manifest = workspace.read_manifest(url)
    if manifest is not None and not plan.job.fresh:
        _require_same(url, manifest.get("fingerprints", {}), plan)
        return
    objects.require_writable(url)
    _check_disk(url, plan)
    workspace.clear(url)
    workspace.create(url, plan.raster.height, plan.raster.width, _arrays(plan))
    _create_thumbnail(plan)
    made_by = {"fingerprints": dict(plan.fingerprints), "segtasks": version("segtasks")}
    workspace.write_manifest(url, made_by)


def recall(plan: Plan) -> Plan:
    """The plan, its network settled as it was when the workspace was begun."""
    manifest = workspace.read_manifest(plan.job.workspace_url) or {}
    known = manifest.get(SETTLED)
    return plan if known is None else with_settled(plan, Settled.model_validate(known))


def remember(plan: Plan, settled: Settled) -> Plan:
    """Keep what was measured, before anything is made with it; the plan with it."""
    url = plan.job.workspace_url
    manifest = workspace.read_manifest(url) or {}
    workspace.write_manifest(url, {**manifest, SETTLED: settled.model_dump()})
    return with_settled(plan, settled)


def done(plan: Plan) -> dict[Stage, set[Tile]]:
    """Per stage the tiles that have their receipt."""
    url = plan.job.workspace_url
    return {s: receipts.done(url, plan.fingerprints[s], s) for s in plan.stages}


def _require_same(url: str, found: dict[str, str], plan: Plan) -> None:
    differing = [name for name, value in plan.fingerprints.items() if found.get(name) != value]
    if differing:
        raise WorkspaceError(
            f"{url}: was begun with another source, model or settings (differs from "
            f"{differing[0]} on); give --fresh to discard it, or another --workspace"
        )


def _check_disk(url: str, plan: Plan) -> None:
    if objects.is_remote(url):
        return
    need = int(cost.estimate(plan).workspace_bytes * STORED_SHARE)
    free = shutil.disk_usage(objects.local_path(url)).free
    if need > free:
        raise ResourceError(
            f"{url}: the workspace needs about {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are "
            "free; free some space or give another --workspace"
        )


def _arrays(plan: Plan) -> dict[str, ArraySpec]:
    bands, classes, tile = len(plan.bands), len(plan.card.classes), plan.tiles.core_px
    specs = {
        "image": ArraySpec(leading=(bands,), dtype=plan.raster.dtype, shard_px=tile, fill=0),
        "valid": ArraySpec(leading=(), dtype="bool", shard_px=tile, fill=0),
        "mask": ArraySpec(
            leading=(),
            dtype="uint8",
            shard_px=plan.mask_grid.core_px,
            fill=workspace.NODATA,
            level=MASK_LEVEL,
        ),
    }
    if plan.windows:
        specs["probabilities"] = ArraySpec(
            leading=(classes,), dtype="float16", shard_px=tile, fill=0
        )
    return specs


def _create_thumbnail(plan: Plan) -> None:
    step = plan.thumbnail_step
    spec = ArraySpec(
        leading=(len(plan.bands),),
        dtype=plan.raster.dtype,
        shard_px=plan.tiles.core_px // step,
        fill=0,
    )
    height, width = -(-plan.raster.height // step), -(-plan.raster.width // step)
    workspace.create(plan.job.workspace_url, height, width, {"thumbnail": spec})
