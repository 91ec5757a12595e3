"""Write: the finished ``mask`` -> COG at the destination, and a quicklook beside it."""

import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segtasks import labels
from segtasks.errors import DestinationError, StageError
from segtasks.grid import Window
from segtasks.outputs import quicklook
from segtasks.plan import Plan
from segtasks.storage import areas, cogs, objects, receipts, workspace

SOURCE_TAG, IDENTITY_TAG = "SEGTASKS_SOURCE", "SEGTASKS_SOURCE_IDENTITY"
OnProgress = Callable[[int, int], None]


def mask_url(plan: Plan) -> str:
    """Where the mask goes."""
    return f"{plan.job.to}/mask.tif"


def quicklook_url(plan: Plan) -> str:
    """Where the quicklook goes."""
    return f"{plan.job.to}/quicklook.png"


def is_published(plan: Plan) -> bool:
    """Whether the destination holds the mask of this very job (which ``fresh`` makes again).

    Raises:
        DestinationError: when it holds something else and may not be replaced.
    """
    url = mask_url(plan)
    for own in (url, quicklook_url(plan)):
        if objects.is_same(own, plan.job.source):
            raise DestinationError(f"{own}: is the source itself; choose another --to")
    if not objects.exists(url):
        return False
    if cogs.read_tag(url, cogs.FINGERPRINT_TAG) == plan.fingerprints["mask"]:
        return not plan.job.fresh
    if plan.job.overwrite:
        return False
    raise DestinationError(
        f"{url}: is there already, made by another job; choose another --to or give --overwrite"
    )


def is_outdated(plan: Plan) -> bool:
    """Whether the destination holds our mask of an earlier state of the same source."""
    url = mask_url(plan)
    if not objects.exists(url) or cogs.read_tag(url, SOURCE_TAG) != plan.job.source:
        return False
    return cogs.read_tag(url, IDENTITY_TAG) != plan.raster.identity


def run(plan: Plan, on_progress: OnProgress) -> dict[str, str]:
    """Publish the mask and what goes with it; the urls by name."""
    _require_finished(plan)
    urls = {"mask": mask_url(plan)}
    parts = _parts(plan, on_progress)
    with cogs.made(urls["mask"], plan.raster, legend(plan), _tags(plan), parts) as cog:
        if plan.job.outputs.quicklook:
            urls["quicklook"] = quicklook_url(plan)
            objects.write_bytes(urls["quicklook"], _quicklook(plan, cog))
        # Last: where a mask is, nothing is left to do.
        objects.put_file(cog, urls["mask"])
    return urls


def _require_finished(plan: Plan) -> None:
    """No receipt, no mask: a hole must never look like a result."""
    last = plan.stages[-1]
    done = receipts.done(plan.job.workspace_url, plan.fingerprints[last], last)
    selected = plan.selected(last)
    missing = sum(tile not in done for tile in selected)
    if missing:
        raise StageError(f"write: {missing} of {len(selected)} tiles are not done; rerun")


def legend(plan: Plan) -> cogs.Legend:
    """The model's legend as the mask carries it."""
    return cogs.Legend(entries=tuple((c.id, c.name, c.color) for c in plan.card.classes))


def _parts(plan: Plan, on_progress: OnProgress) -> Iterator[tuple[Window, npt.NDArray[np.uint8]]]:
    grid = plan.mask_grid
    for count, tile in enumerate(grid.tiles(), start=1):
        core = grid.core(tile)
        yield core, workspace.read(plan.job.workspace_url, "mask", core)
        on_progress(count, len(grid))


def _tags(plan: Plan) -> dict[str, str]:
    """Provenance: enough to make the same mask again."""
    return {
        "TIFFTAG_SOFTWARE": f"segtasks {version('segtasks')}",
        "TIFFTAG_IMAGEDESCRIPTION": f"Class ids; {labels.NODATA} is nodata",
        cogs.FINGERPRINT_TAG: plan.fingerprints["mask"],
        SOURCE_TAG: plan.job.source,
        IDENTITY_TAG: plan.raster.identity,
        **({"SEGTASKS_AOI": areas.named(plan.job.aoi, plan.job.aoi_crs)} if plan.job.aoi else {}),
        "SEGTASKS_MODEL": plan.job.model,
        "SEGTASKS_NETWORK": plan.card.network,
        "SEGTASKS_WEIGHTS_SHA256": plan.card.weights_sha256,
        "SEGTASKS_STITCH": json.dumps(
            {
                "stitch": plan.lattice.stitch,
                "patch_px": plan.lattice.patch_px,
                "overlap_px": 2 * plan.lattice.margin_px,
            }
        ),
        "SEGTASKS_INFERENCE": json.dumps(plan.job.inference.model_dump()),
        "SEGTASKS_NETWORK_RUN": f"{plan.settled.precision} {plan.settled.form}",
        "SEGTASKS_CRF": json.dumps(
            plan.job.crf
            and plan.job.crf.model_dump()
            | {
                "window_px": plan.mask_grid.core_px,
                "halo_px": plan.crf_halo_px,
                "backend": plan.crf_backend,
            }
        ),
    }


def _quicklook(plan: Plan, cog: Path) -> bytes:
    """Picture of image and mask, from pixels kept while ingesting and from the COG's overviews."""
    step = plan.thumbnail_step
    small = Window(0, 0, -(-plan.raster.height // step), -(-plan.raster.width // step))
    image = workspace.read(plan.job.workspace_url, "thumbnail", small)
    mask = cogs.read_small(str(cog), small.shape)[0]
    return quicklook.draw(image, mask, legend(plan).colormap)
