"""Before the first tile: check the destination, then open the workspace or create it."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from segtasks.errors import JobError, WorkspaceError
from segtasks.networks.inference.tuned import TunedInference
from segtasks.planning.crf_windows import BACKEND
from segtasks.planning.plan import Plan, Stage, with_tuned
from segtasks.planning.planner import area_of
from segtasks.planning.resource_check import check_disk
from segtasks.planning.stages import ARRAYS, STAGES
from segtasks.raster.grid import Tile
from segtasks.storage import aoi, object_store, receipts, workspace
from segtasks.storage.workspace_contents import Contents

SETTLED, FINGERPRINTS, AREA = "settled", "fingerprints", "aoi"
REPEATABLE = {*(name for name, spec in STAGES.items() if spec.repeatable), "mask"}
"""Stages that may be repeated with other settings in a finished workspace, and publishing."""


def prepare_workspace(plan: Plan) -> None:
    """Check that the results can be written, and open or create the workspace.

    A workspace of another job is refused. If only settings after inference differ and inference is
    finished, or the area of interest differs, the stages concerned are repeated.

    Raises:
        DestinationError: the destination or the workspace cannot be written.
        WorkspaceError: the workspace was created with other settings.
        ResourceError: the disk is too small.
    """
    url = plan.job.workspace_url
    object_store.require_writable(plan.job.to)
    manifest = workspace.read_manifest(url)
    if manifest is not None and not plan.job.fresh:
        differing = _differing(manifest, plan)
        if differing and not _is_repeatable(plan, manifest, differing):
            raise WorkspaceError(
                f"{url}: was created with another source, model or settings (differs from "
                f"{differing[0]} on); give --fresh to discard it, or another --workspace"
            )
        if differing:
            _forget(plan, manifest, differing)
        return
    object_store.require_writable(url)
    check_disk(plan)
    clear_workspace(url)
    _create_arrays(plan, plan.stages)
    _save_area(plan)
    workspace.write_manifest(url, _manifest(plan))


def clear_workspace(url: str) -> None:
    """Remove a workspace; other files in its folder are left alone."""
    workspace.clear(url, ARRAYS)


def _save_area(plan: Plan) -> None:
    """Save the polygons of the area, which do not travel with the plan."""
    area = area_of(plan)
    if area is not None and area.digest != plan.aoi:
        raise JobError(f"aoi {plan.job.aoi}: has changed since this run began; run it again")
    if area is not None:
        aoi.save(plan.job.workspace_url, area)


def _manifest(plan: Plan) -> dict[str, Any]:
    classes = tuple(plan.card.classes)
    contents = Contents(raster=plan.raster, legend=classes, colours=plan.colours)
    return {
        FINGERPRINTS: dict(plan.fingerprints),
        AREA: plan.aoi,
        "segtasks": version("segtasks"),
        BACKEND: plan.crf.backend if plan.crf else "none",
        **contents.entry(),
    }


def recall_tuning(plan: Plan) -> Plan:
    """Return the plan with the network tuned as when the workspace was created."""
    manifest = workspace.read_manifest(plan.job.workspace_url) or {}
    known = manifest.get(SETTLED)
    return plan if known is None else with_tuned(plan, TunedInference.model_validate(known))


def remember_tuning(plan: Plan, settled: TunedInference) -> Plan:
    """Save what was measured before it is used; return the plan with it."""
    url = plan.job.workspace_url
    manifest = workspace.read_manifest(url) or {}
    workspace.write_manifest(url, {**manifest, SETTLED: settled.model_dump()})
    return with_tuned(plan, settled)


def done_tiles(plan: Plan) -> dict[Stage, set[Tile]]:
    """Return the tiles of each stage that have their receipt."""
    url = plan.job.workspace_url
    return {
        stage: {
            tile
            for tile in receipts.done(url, plan.fingerprints[stage], stage)
            if tile in plan.selected(stage)
        }
        for stage in plan.stages
    }


def _differing(manifest: Mapping[str, Any], plan: Plan) -> list[str]:
    """Return the stages whose data in the workspace were made by another job."""
    found = manifest.get(FINGERPRINTS, {})
    return [name for name, value in plan.fingerprints.items() if found.get(name) != value]


def _is_repeatable(plan: Plan, manifest: Mapping[str, Any], differing: list[str]) -> bool:
    """Return whether what inference made is kept: only the stages after it or the area differ.

    Where inference is unfinished, other settings of the later stages are taken for a mistake.
    Another area needs other tiles of all stages.
    """
    if not set(differing) <= REPEATABLE:
        return False
    if manifest.get(AREA) != plan.aoi:
        return True
    known = recall_tuning(plan)
    made = receipts.done(known.job.workspace_url, known.fingerprints["predict"], "predict")
    return all(tile in made for tile in plan.selected("predict"))


def _forget(plan: Plan, manifest: Mapping[str, Any], differing: list[str]) -> None:
    """Drop the data that were made with other settings and record the new ones.

    The manifest first names neither, so that a run killed in between does this again.
    """
    url, kept = plan.job.workspace_url, dict(manifest[FINGERPRINTS])
    for name in differing:
        kept.pop(name, None)
    workspace.write_manifest(url, {**manifest, FINGERPRINTS: kept})
    for name in differing:
        receipts.forget(url, name)
    _create_arrays(plan, [stage for stage in plan.stages if stage in differing])
    workspace.drop_cached_arrays()
    _save_area(plan)
    workspace.write_manifest(url, {**manifest, **_manifest(plan)})


def _create_arrays(plan: Plan, stages: Iterable[Stage]) -> None:
    """Create the arrays that these stages write, empty."""
    arrays = {name: spec for stage in stages for name, spec in plan.arrays(stage).items()}
    workspace.create(plan.job.workspace_url, plan.raster.height, plan.raster.width, arrays)
