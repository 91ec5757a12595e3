"""Digests of what results depend on: the source, the network, the CRF.

The table of stages says which of them the data of a stage depend on. Data made under one
fingerprint are never taken for those of another.
"""

import hashlib
import json
from dataclasses import asdict

from segtasks.planning.decisions import Decisions

FORMAT = 1


def digest(*parts: object) -> str:
    """16 hexadecimal digits of the SHA-256 of ``parts`` as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source(plan: Decisions) -> str:
    """Digest of the pixels of the source: its identity, shape, dtype and bands."""
    raster = plan.raster
    return digest(raster.identity, raster.height, raster.width, raster.dtype, plan.bands)


def network(plan: Decisions) -> str:
    """Digest of everything that decides the logits, beyond the pixels."""
    card, patches, tta = plan.card, plan.patches, plan.tta
    return digest(
        card.weights_sha256,
        card.normalisation.model_dump(),
        card.graph and card.graph.model_dump(),
        [entry.model_dump() for entry in card.classes],
        plan.stretch and asdict(plan.stretch),
        (list(map(str, tta.scales)), tta.angles, tta.fusion, tta.pooling),
        (patches.step_px, patches.margin_px, patches.stitch),
        (plan.job.inference.precision, plan.job.inference.form),
    )


def crf(plan: Decisions) -> str:
    """Digest of everything that decides the CRF, beyond probabilities and its backend."""
    parameters = asdict(plan.crf.parameters) if plan.crf else None
    core_px = plan.crf.windows.core_px if plan.crf else None
    halo_px = plan.crf.halo_px if plan.crf else 0
    return digest(parameters, core_px, halo_px, asdict(plan.colours))
