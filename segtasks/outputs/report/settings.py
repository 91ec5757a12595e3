"""The settings of a run and what auto stood for, model, source and software; no secrets."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from segtasks.errors import redact_url
from segtasks.planning import summary
from segtasks.planning.plan import Plan
from segtasks.raster.pixel_area import pixel_side_m

PACKAGES = ("segtasks", "torch", "numpy", "rasterio", "zarr", "dask", "prefect")
"""Whose versions the bytes of a mask may hang on."""
OPEN = ("auto", None)
SPOKEN = ("tiles", "patches", "inference", "stitching", "crf", "memory")
"""Of the plan, in words."""
LEFT_OUT: dict[str, Any] = {
    **dict.fromkeys(("source", "to", "model", "workspace", "aoi", "aoi_crs"), True),
    "compute": {"address", "cluster_class", "cluster_kwargs"},
}
"""What has a place of its own; and how workers are reached, where passwords may stand."""

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: as the job has it, and what was used where the job leaves it open."""

    name: str
    asked: str
    used: str | None


def settings(plan: Plan) -> tuple[Setting, ...]:
    """Return every setting of the job by its dotted name, except the address of workers."""
    used = _used(plan)
    dumped = plan.job.model_dump(mode="json", exclude=LEFT_OUT)
    return tuple(
        Setting(name=name, asked=_text(value), used=used.get(name) if value in OPEN else None)
        for name, value in _leaves(dumped)
    )


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _used(plan: Plan) -> dict[str, str]:
    """Return what was used for settings that are auto or left out."""
    patches, crf = plan.patches, plan.crf
    known: dict[str, Any] = {
        "bands": plan.bands,
        "stretch": plan.stretch,
        "tiling.patch_px": patches.patch_px,
        "tiling.overlap_px": 2 * patches.margin_px,
        "tiling.stitch": patches.stitch,
        "inference.scales": [float(scale) for scale in plan.tta.scales],
        "inference.precision": plan.tuned.precision,
        "inference.form": plan.tuned.form,
        "crf.backend": crf and crf.backend,
        "crf.window_px": crf and crf.windows.core_px,
        "crf.halo_px": crf and crf.halo_px,
    }
    return {name: _text(value) for name, value in known.items() if value is not None}


def _text(value: Any) -> str:  # noqa: ANN401 - any setting
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


def spoken(plan: Plan) -> Rows:
    """Return the plan as text by name, as `segtasks plan` prints it."""
    rows = summary.rows(plan)
    settled = (("network run", plan.tuned.line),) if plan.tuned.samples else ()
    return (*((name, rows[name]) for name in SPOKEN), *settled)


def model(plan: Plan) -> Rows:
    """Return the rows on the model."""
    card = plan.card
    resolution, parameters = card.ground_resolution_m, card.parameters
    rows = {
        "file": redact_url(plan.job.model),
        "network": card.network if card.width == 1 else f"{card.network}, width {card.width:g}",
        "variant": ", ".join(f"{name} {_text(value)}" for name, value in card.variant.items()),
        "classes": ", ".join(entry.name for entry in card.classes),
        "bands": ", ".join(card.bands),
        "ground resolution": f"{resolution:g} m" if resolution else "not known",
        "receptive field": f"{card.receptive_field_px:,} px" if card.receptive_field_px else "",
        "parameters": f"{parameters:,}" if parameters else "",
        "licence": card.licence,
        "weights, SHA-256": card.weights_sha256,
    }
    return tuple((name, text) for name, text in rows.items() if text)


def training(plan: Plan) -> Rows:
    """Return the rows on how the model was trained, from its card."""
    made = plan.card.provenance
    return tuple((name.replace("_", " "), redact_url(_text(value))) for name, value in made.items())


def source(plan: Plan) -> Rows:
    """Return the rows on the source raster."""
    raster, side = plan.raster, pixel_side_m(plan.raster)
    return (
        ("url", redact_url(plan.job.source)),
        ("size", f"{raster.width:,} x {raster.height:,} px (columns x rows), {raster.dtype}"),
        ("bands used", _text(plan.bands)),
        ("CRS", _crs_name(raster.crs_wkt)),
        ("pixel", f"{side:.3g} m on the ground" if side else "size on the ground not known"),
    )


def _crs_name(wkt: str | None) -> str:
    if wkt is None:
        return "none"
    try:
        crs = CRS.from_wkt(wkt)
    except CRSError:
        return "a local one"
    code = crs.to_authority()
    return f"{crs.name} ({':'.join(code)})" if code else str(crs.name)


def versions() -> str:
    """Return the versions of the software on this machine."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # a machine that only writes needs no torch
            continue
    return ", ".join(found)
