"""What results say of how they were made: enough to make the same ones again, and no secrets."""

import json
from importlib.metadata import version
from typing import Any

from segtasks.errors import redact_url
from segtasks.planning.fingerprints import digest
from segtasks.planning.plan import Plan
from segtasks.planning.products import PRODUCTS, Proof
from segtasks.storage import aoi, cog

SOURCE_TAG, IDENTITY_TAG = "SEGTASKS_SOURCE", "SEGTASKS_SOURCE_IDENTITY"


def fingerprint(plan: Plan, name: str) -> str:
    """Return the hash of what a product depends on: all that the mask does, and its own settings.

    The mask's own is that of a mask alone, so a job for more results makes the same mask.

    Args:
        plan: what is to be done, or was.
        name: of a product that carries a proof.
    """
    if name == "mask":
        return plan.fingerprints["mask"]
    return digest(plan.fingerprints["mask"], name, *_proof(name).settings(plan.job))


def tags(plan: Plan, name: str) -> dict[str, str]:
    """Return the tags of a GeoTIFF, or the attributes of a Zarr group, that is such a product."""
    area = area_name(plan)
    return {
        "TIFFTAG_SOFTWARE": f"segtasks {version('segtasks')}",
        "TIFFTAG_IMAGEDESCRIPTION": _proof(name).pixels(plan),
        cog.FINGERPRINT_TAG: fingerprint(plan, name),
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


def _proof(name: str) -> Proof:
    proof = PRODUCTS[name].proof
    assert proof is not None, f"{name} carries no fingerprint"
    return proof
