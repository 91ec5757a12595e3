"""A plan as figures and as lines of text, before anything is done."""

from dataclasses import asdict
from typing import Any

from segtasks.errors import redact_url
from segtasks.planning import cost
from segtasks.planning.formatting import duration
from segtasks.planning.plan import Plan
from segtasks.planning.products import PRODUCTS, result_urls
from segtasks.planning.resource_check import disk_bytes
from segtasks.planning.runtime_estimate import Estimate
from segtasks.planning.traffic import traffic
from segtasks.raster.units import GIB, MIB

WASTEFUL_FACTOR = 2.5
HALO_TOLERANCE: dict[object, str] = {
    "auto": " (at most 0.01 % of labels unlike the whole image's, on ordinary content)",
    "strict": " (at most 0.01 % of labels unlike the whole image's, on hard content too)",
}


def figures(plan: Plan) -> dict[str, Any]:
    """Return what a run will do and need, as JSON values.

    Raises:
        SourceError: the header of a remote source cannot be read again.
    """
    moved = {"disk_bytes": disk_bytes(plan), "network_bytes": asdict(traffic(plan))}
    return _decided(plan) | moved


def _decided(plan: Plan) -> dict[str, Any]:
    need, patches = cost.plan_cost(plan), plan.patches
    return {
        "source": redact_url(plan.raster.url),
        "height": plan.raster.height,
        "width": plan.raster.width,
        "dtype": plan.raster.dtype,
        "bands": list(plan.bands),
        "stretch": plan.stretch and asdict(plan.stretch),
        "network": plan.card.network,
        "classes": [entry.name for entry in plan.card.classes],
        "stitch": patches.stitch,
        "patch_px": patches.patch_px,
        "overlap_px": 2 * patches.margin_px,
        "inference": plan.job.inference.model_dump(),
        "forwards": plan.tta.forwards,
        "exact_halo_px": plan.tta_card.halo_px,
        "is_exact": patches.stitch == "crop"
        and patches.margin_px >= (plan.tta_card.halo_px or 0)
        and plan.tta_card.halo_px is not None,
        "tile_px": plan.tiles.core_px,
        "tiles": need.tiles,
        "tiles_left_out": len(plan.tiles) - need.tiles,
        "aoi": plan.job.aoi and redact_url(plan.job.aoi),
        "patches": _patches(plan),
        "forward_px_per_px": round(need.forward_factor, 3),
        "gmac": _gmac(plan, need),
        "crf": plan.job.crf.model_dump() if plan.job.crf else None,
        "crf_windows": need.windows,
        "crf_backend": plan.crf.backend if plan.crf else "none",
        "crf_window_px": plan.crf.windows.core_px if plan.crf else 0,
        "crf_halo_px": plan.crf.halo_px if plan.crf else 0,
        "crf_px_per_px": round(need.crf_factor, 3),
        "worker_bytes": need.worker_bytes,
        "workspace_bytes": need.workspace_bytes,
        "sieve_px": plan.sieve_px,
        "workspace": redact_url(plan.job.workspace_url),
        "mask": redact_url(PRODUCTS["mask"].url(plan.job)),
        "results": {name: redact_url(url) for name, url in result_urls(plan).items()},
        "fingerprint": plan.fingerprints["mask"],
        "warnings": [*plan.warnings, *_advice(plan, need)],
    }


def lines(plan: Plan) -> list[str]:
    """Return the plan as lines of text, with its warnings."""
    shown = figures(plan)
    disk = [f"{_bytes(count)} in {folder}" for folder, count in shown["disk_bytes"].items()]
    network = [
        f"{_bytes(count)} {name.replace('_', ' ')}"
        for name, count in shown["network_bytes"].items()
        if count
    ]
    moved = {
        "disk": ", ".join(disk) or "nothing on this machine",
        "network": ", ".join(network) or "nothing",
    }
    found = [f"{name:<10} {text}" for name, text in (rows(plan) | moved).items()]
    return found + [f"warning    {warning}" for warning in shown["warnings"]]


def rows(plan: Plan) -> dict[str, str]:
    """Return the plan as text by name, without the warnings and the traffic."""
    shown = _decided(plan)
    size = f"{shown['height']} x {shown['width']} px, {shown['dtype']}"
    bands = f"{', '.join(map(str, plan.bands))} as {', '.join(plan.card.bands)}"
    names = [url.removeprefix(f"{plan.job.to}/") for url in result_urls(plan).values()]
    memory = [f"{stage} {shown['worker_bytes'][stage] / GIB:.1f} GiB" for stage in plan.stages]
    return {
        "source": f"{shown['source']}: {size}, bands {bands}",
        "model": f"{plan.card.network}; classes {', '.join(shown['classes'])}",
        "tiles": f"{shown['tiles']} of {shown['tile_px']} px{_left_out(plan, shown)}",
        "patches": f"{shown['patches']} of {shown['patch_px']} px, overlap "
        f"{shown['overlap_px']} px, {shown['forward_px_per_px']} px forwarded per px",
        "inference": _inference(plan),
        "stitching": _stitching(plan),
        "crf": _crf_line(plan, shown),
        "memory": f"{', '.join(memory)} per worker",
        "workspace": f"{shown['workspace']}: {shown['workspace_bytes'] / GIB:.2f} GiB uncompressed",
        "clean-up": _clean_up(plan),
        "writes": f"{redact_url(plan.job.to)}/: {', '.join(names)}",
    }


def _clean_up(plan: Plan) -> str:
    if not plan.sieve_px:
        return "none"
    return f"pieces of fewer than {plan.sieve_px} px go to their largest neighbour"


def time_figures(found: Estimate, price_per_hour: float | None) -> dict[str, Any]:
    """Return an estimate as JSON values, in seconds; with a price if an hour has one."""
    figures = asdict(found)
    return figures if price_per_hour is None else figures | found.price(price_per_hour)


def time_lines(found: Estimate, price_per_hour: float | None) -> list[str]:
    """Return an estimate as lines of text."""
    stages = [f"{stage} {duration(seconds)}" for stage, seconds in found.stages.items()]
    timed = [f"{stage} {count}" for stage, count in found.timed_tiles.items()]
    rows = [
        (
            f"time       {duration(found.seconds)} (90 %: {duration(found.low)} … "
            f"{duration(found.high)}), start-up {found.startup_seconds:.0f} s and writing "
            f"{found.write_seconds:.0f} s included"
        ),
        (
            f"work       {', '.join(stages)} over {found.processes} processes; timed tiles: "
            f"{', '.join(timed)}"
        ),
    ]
    if price_per_hour is not None:
        price = found.price(price_per_hour)
        rows.append(
            f"price      {price['price']:.2f} (90 %: {price['price_low']:.2f} … "
            f"{price['price_high']:.2f}) at {price_per_hour:g} per hour"
        )
    return rows


def _patches(plan: Plan) -> int:
    """Return the number of patches that the selected tiles touch."""
    if not plan.selected_bits:
        return len(plan.patches.cells)
    cores = (plan.tiles.core(tile) for tile in plan.selected("predict"))
    reach, cells = plan.patches.reach_px, plan.patches.cells
    return len({cell for core in cores for cell in cells.touching(core.grow(reach))})


def _left_out(plan: Plan, shown: dict[str, Any]) -> str:
    if not plan.selected_bits:
        return ""
    why = "outside the area or without data" if plan.aoi else "without data"
    return f"; {shown['tiles_left_out']} more are {why}"


def _bytes(count: int) -> str:
    return f"{count / GIB:.2f} GiB" if count >= GIB / 10 else f"{count / MIB:.1f} MiB"


def _inference(plan: Plan) -> str:
    tta, cells = plan.tta, len(plan.patches.cells)
    pooled = f"; averages over the raster, from {cells} patches" if plan.pools_raster else ""
    if tta.is_plain:
        return f"one forward per patch{pooled}"
    scales = ", ".join(f"{float(scale):g}" for scale in tta.scales)
    return (
        f"{tta.forwards} forwards per patch: scales {scales}, angles {tta.angles}, fused by "
        f"{tta.fusion}"
    )


def _gmac(plan: Plan, need: cost.Cost) -> float | None:
    """Return the multiply-adds of all forwards in 1e9; ``None`` if the card has no count."""
    if plan.card.gmac_per_mpx is None:
        return None
    return round(plan.card.gmac_per_mpx * plan.raster.pixels / 1e6 * need.forward_factor, 1)


def _stitching(plan: Plan) -> str:
    patches, halo = plan.patches, plan.tta_card.halo_px
    if patches.stitch == "blend":
        return "blended with weights"
    if halo is not None and patches.margin_px >= halo:
        return "cropped, exact: as the whole image in one forward"
    return (
        f"cropped at the effective receptive field (exact: overlap {2 * (halo or 0)} px); "
        "a few labels near patch borders differ from a whole-image forward"
    )


def _crf_line(plan: Plan, shown: dict[str, Any]) -> str:
    if not plan.crf or plan.job.crf is None:
        return "none"
    return (
        f"{shown['crf_windows']} windows of {plan.crf.windows.core_px} px, halo "
        f"{shown['crf_halo_px']} px{HALO_TOLERANCE.get(plan.job.crf.halo_px, '')}; "
        f"{shown['crf_px_per_px']} px filtered per px; by {plan.crf.backend}"
    )


def _advice(plan: Plan, need: cost.Cost) -> list[str]:
    if need.patch_factor <= WASTEFUL_FACTOR:
        return []
    better = f"a --tile-px that is a multiple of {plan.patches.step_px} wastes less"
    return [f"{need.patch_factor:.1f} px of patches per px kept; {better}"]
