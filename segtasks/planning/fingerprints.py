"""Fingerprints of a plan: what is done with one does for no other."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from segtasks.networks.inference.tuned import TunedInference
from segtasks.planning.plan import Plan

FORMAT = 1


def with_fingerprints(plan: Plan) -> Plan:
    """A stage's data depends on the stage before and on its own settings, and on nothing else.

    The mask does not depend on the tiles, nor on what is made beside it, so neither does its
    fingerprint.
    """
    source, network, crf = _source_digest(plan), _network_digest(plan), _crf_digest(plan)
    ingest = digest(FORMAT, source, plan.tiles.core_px)
    sure = [plan.confidence] if plan.confidence else []
    area = [plan.aoi] if plan.aoi else []
    predict = digest(ingest, network, plan.windows is None, *_beside(plan, sure, area))
    pool = {"pool": digest(ingest, network)} if plan.pools_raster else {}
    refine = digest(predict, crf, plan.crf_backend, *sure, *area)
    prints = {
        "ingest": ingest,
        **pool,
        "predict": predict,
        "refine": refine,
        **_after_mask(plan, refine if plan.windows else predict),
        # As asked: auto's mask is done, also where auto stands for another backend by now.
        "mask": digest(
            *(FORMAT, source, network, crf, plan.job.crf and plan.job.crf.backend),
            *(*area, *_beyond(plan)),
        ),
    }
    return replace(plan, fingerprints=prints)


def _beside(plan: Plan, sure: Sequence[str], area: Sequence[str]) -> list[str]:
    """What predict makes beside the mask, and of which area.

    What the CRF reads is the same whatever is made of it, and whatever the area.
    """
    if plan.windows:
        return []
    also = [name for name in plan.predicted if name != "mask"]
    return [*also, *(sure if also else []), *area]


def _after_mask(plan: Plan, made: str) -> dict[str, str]:
    """Of the stages that clean up and draw the mask, which was made with ``made``."""
    prints = {}
    if plan.sieve_px:
        parts = digest(made, "components", plan.sieve_px, plan.connectedness, plan.tiles.core_px)
        made = digest(parts, "sieve")
        prints = {"components": parts, "sieve": made}
    if plan.job.vectors:
        prints["vectorise"] = digest(made, plan.job.vectors.model_dump(exclude={"format"}))
    return prints


def _beyond(plan: Plan) -> list[object]:
    """What else the results depend on; nothing where nothing else was asked for."""
    cleanup, vectors = plan.job.cleanup, plan.job.vectors
    sieved = [plan.sieve_px, plan.connectedness] if cleanup else []
    return [*sieved, *([vectors.model_dump()] if vectors else [])]


def with_tuned(plan: Plan, settled: TunedInference) -> Plan:
    """The plan with its network settled; forwards made in another way are not taken for its own."""
    chosen = (settled.precision, settled.form)
    forwarded = plan.stages[plan.stages.index("ingest") + 1 :]
    prints = dict(plan.fingerprints)
    prints.update({stage: digest(prints[stage], chosen) for stage in forwarded})
    return replace(plan, tuned=settled, fingerprints=prints)


def digest(*parts: object) -> str:
    """16 hexadecimal digits of the SHA-256 of ``parts`` as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _source_digest(plan: Plan) -> str:
    raster = plan.raster
    return digest(raster.identity, raster.height, raster.width, raster.dtype, plan.bands)


def _network_digest(plan: Plan) -> str:
    card, lattice, modes = plan.card, plan.lattice, plan.modes
    return digest(
        card.weights_sha256,
        card.normalisation.model_dump(),
        card.graph and card.graph.model_dump(),
        [entry.model_dump() for entry in card.classes],
        plan.stretch and asdict(plan.stretch),
        (list(map(str, modes.scales)), modes.angles, modes.fusion, modes.pooling),
        (lattice.step_px, lattice.margin_px, lattice.stitch),
        (plan.job.inference.precision, plan.job.inference.form),
    )


def _crf_digest(plan: Plan) -> str:
    core = plan.windows and plan.windows.core_px
    return digest(plan.crf and asdict(plan.crf), core, plan.crf_halo_px, asdict(plan.colours))
