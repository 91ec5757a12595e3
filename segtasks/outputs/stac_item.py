"""The STAC item of a plan's results."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from segtasks.errors import redact_url
from segtasks.networks import pretrained
from segtasks.outputs import provenance
from segtasks.outputs.publication import Publication
from segtasks.outputs.stac import Place, Scene, item_json
from segtasks.outputs.stac_mlm import Model
from segtasks.planning.plan import Plan
from segtasks.raster.confidence import MAX_CONFIDENCE
from segtasks.raster.pixel_area import pixel_side_m
from segtasks.storage import object_store
from segtasks.storage.geolocation import bounds, crs_code, footprint

PREFIX = "SEGTASKS_"
JSON_TAGS = {"SEGTASKS_STITCH", "SEGTASKS_INFERENCE", "SEGTASKS_SIEVE", "SEGTASKS_CRF"}
ARTIFACTS = {
    None: ("safetensors", "PyTorch"),
    "torchscript": ("torch.jit.save", "PyTorch"),
    "exported": ("torch.export.save", "PyTorch"),
    "onnx": ("onnx", "ONNX"),
}
"""What wrote a model's file and what runs it, by the form of its graph."""


def make_item(publication: Publication) -> bytes:
    """Make ``item.json``: all other products are its assets, the mask's tags its properties."""
    plan, urls = publication.plan, publication.urls
    made, stem = datetime.now(UTC), PurePosixPath(redact_url(plan.job.source)).stem
    scene = Scene(
        id=f"{stem}-{plan.fingerprints['mask']}",
        shape=(plan.raster.height, plan.raster.width),
        place=_place(plan),
        classes=plan.card.classes,
        model=_model(plan),
        source=_href(plan, plan.job.source),
        dated=datetime.fromisoformat(plan.raster.dated) if plan.raster.dated else made,
        made=made,
        results={
            name: f".{url.removeprefix(plan.job.to)}"
            for name, url in urls.items()
            if name != "item"
        },
        confidence=(plan.confidence, 1 / MAX_CONFIDENCE) if plan.confidence else None,
        provenance=_properties(provenance.tags(plan, "mask")),
    )
    return item_json(scene)


def _place(plan: Plan) -> Place | None:
    geometry, wkt = footprint(plan.raster), plan.raster.crs_wkt
    if geometry is None or wkt is None:
        return None
    return Place(
        geometry=geometry,
        bbox=bounds(geometry),
        code=crs_code(plan.raster),
        wkt=wkt,
        transform=plan.raster.transform,
        side_m=pixel_side_m(plan.raster),
    )


def _model(plan: Plan) -> Model:
    card = plan.card
    artifact, framework = ARTIFACTS[card.graph.form if card.graph else None]
    shipped = plan.job.model in pretrained.names()
    return Model(
        name=_model_name(card.network, plan.job.model),
        network=card.network,
        href=f"urn:segtasks:model:{plan.job.model}" if shipped else _href(plan, plan.job.model),
        artifact=artifact,
        framework=framework,
        bands=card.bands,
        dtype=card.normalisation.dtype,
        mean=card.normalisation.mean,
        std=card.normalisation.std,
        patch_px=plan.patches.patch_px,
        parameters=card.parameters,
        gives=card.graph.gives if card.graph else "logits",
    )


def _model_name(network: str, model: str) -> str:
    """Network and file, in the characters that MLM allows a name."""
    words = re.sub(r"[^a-zA-Z0-9_.-]+", "-", f"{network}-{PurePosixPath(redact_url(model)).stem}")
    return words.rstrip("_.-")


def _href(plan: Plan, url: str) -> str:
    """``url`` as the item refers to it: relative to itself where both are local files."""
    if object_store.is_remote(url) or url.startswith("/vsi"):
        return redact_url(url)
    path = object_store.local_path(url)
    return str(path) if object_store.is_remote(plan.job.to) else _relative(path, plan.job.to)


def _relative(path: os.PathLike[str], to: str) -> str:
    return os.path.relpath(path, object_store.local_path(to))


def _properties(tags: Mapping[str, str]) -> dict[str, Any]:
    """``SEGTASKS_CRF`` becomes ``segtasks:crf``; tags are text, some of it JSON."""
    own = {name: text for name, text in tags.items() if name.startswith(PREFIX)}
    found: dict[str, Any] = {"segtasks:software": tags["TIFFTAG_SOFTWARE"]}
    for name, text in own.items():
        value = json.loads(text) if name in JSON_TAGS else text
        found[f"segtasks:{name.removeprefix(PREFIX).lower()}"] = value
    return found
