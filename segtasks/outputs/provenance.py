"""What results say of how they were made: enough to make the same ones again, and no secrets."""

import json
from importlib.metadata import version
from typing import Any

from segtasks.errors import redact_url
from segtasks.planning.fingerprints import digest
from segtasks.planning.plan import Plan
from segtasks.raster import labels
from segtasks.storage import aoi, cog

SOURCE_TAG, IDENTITY_TAG = "SEGTASKS_SOURCE", "SEGTASKS_SOURCE_IDENTITY"


def fingerprint(plan: Plan, result: str) -> str:
    """What a result depends on: all that the mask does, and for others what was chosen of them.

    The mask's own is that of a mask alone, so a job for more results makes the same mask.
    """
    if result == "mask":
        return plan.fingerprints["mask"]
    chosen = [plan.confidence] if result == "confidence" else []
    return digest(plan.fingerprints["mask"], result, *chosen)


def tags(plan: Plan, result: str) -> dict[str, str]:
    """Tags of a GeoTIFF."""
    area = area_name(plan)
    return {
        "TIFFTAG_SOFTWARE": f"segtasks {version('segtasks')}",
        "TIFFTAG_IMAGEDESCRIPTION": _description(plan, result),
        cog.FINGERPRINT_TAG: fingerprint(plan, result),
        SOURCE_TAG: redact_url(plan.job.source),
        IDENTITY_TAG: plan.raster.identity,
        **({"SEGTASKS_AOI": area} if area else {}),
        "SEGTASKS_MODEL": redact_url(plan.job.model),
        "SEGTASKS_NETWORK": plan.card.network,
        "SEGTASKS_WEIGHTS_SHA256": plan.card.weights_sha256,
        "SEGTASKS_STITCH": json.dumps(
            {
                "stitch": plan.patches.stitch,
                "patch_px": plan.patches.patch_px,
                "overlap_px": 2 * plan.patches.margin_px,
                "halo_px": plan.patches.margin_px,
            }
        ),
        # As they are, where the job leaves them to the source.
        "SEGTASKS_INFERENCE": json.dumps(
            plan.job.inference.model_dump() | {"scales": list(map(float, plan.tta.scales))}
        ),
        "SEGTASKS_NETWORK_RUN": f"{plan.tuned.precision} {plan.tuned.form}",
        "SEGTASKS_SIEVE": json.dumps(
            {"sieve_px": plan.sieve_px, "connectedness": plan.connectedness}
            if plan.sieve_px
            else None
        ),
        "SEGTASKS_CRF": json.dumps(_crf(plan)),
    }


def _crf(plan: Plan) -> dict[str, Any] | None:
    """The settings of the CRF, and what auto stands for in them."""
    if plan.job.crf is None or plan.crf is None:
        return None
    used = {
        "window_px": plan.crf.windows.core_px,
        "halo_px": plan.crf.halo_px,
        "backend": plan.crf.backend,
    }
    return plan.job.crf.model_dump() | used


def area_name(plan: Plan) -> str | None:
    """The area of interest as the job names it, without secrets."""
    job = plan.job
    return aoi.named(redact_url(job.aoi), job.aoi_crs) if job.aoi else None


def _description(plan: Plan, result: str) -> str:
    if result == "confidence":
        of = "CRF marginals" if plan.crf else "network probabilities"
        return f"{plan.confidence} of {of}: 0..254 is 0..1; {labels.NODATA} is nodata"
    if result == "probabilities":
        return "Probabilities of the network, before any CRF; NaN is nodata"
    return f"Class ids; {labels.NODATA} is nodata"
