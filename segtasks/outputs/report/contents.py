"""All that a report says of one run, as pure values; the page only lays them out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from textwrap import shorten

from segtasks.errors import redact_text, redact_url
from segtasks.outputs.provenance import area_name
from segtasks.outputs.report import advice, class_areas, seams, settings
from segtasks.outputs.report.class_areas import Areas
from segtasks.outputs.report.seams import Border, Seams
from segtasks.outputs.report.settings import Rows, Setting
from segtasks.outputs.report.timings import Timings, measure_timings
from segtasks.planning.plan import Plan
from segtasks.planning.products import PRODUCTS
from segtasks.raster.pixel_area import pixel_side_m
from segtasks.storage import receipts
from segtasks.storage.cog import ReadMask

LONGEST = 200
"""Characters of a source's identity and of an area: a mosaic's names all its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A result: its place as seen from the page, and what it is."""

    href: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamRow:
    """A kind of borders, and what its figures say."""

    border: Border
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the page shows, without its pictures.

    Attributes:
        side_m: of a pixel on the ground; ``None`` where that is not known.
        area: of interest, as the job names it; ``None``: the whole raster.
        throughput: million pixels of the tiles that were done per second of wall time.
        bottleneck: what the run waited for and what would help.
        spoken: the plan in words; ``settings`` is everything, by its dotted name.
    """

    title: str
    height: int
    width: int
    side_m: float | None
    area: str | None
    areas: Areas
    seams: Seams
    seam_rows: tuple[SeamRow, ...]
    timings: Timings
    throughput: float
    bottleneck: str
    spoken: Rows
    settings: tuple[Setting, ...]
    source: Rows
    model: Rows
    training: Rows
    provenance: Rows
    warnings: tuple[str, ...]
    files: tuple[File, ...]


def collect(plan: Plan, mask: ReadMask, urls: Mapping[str, str], seconds: float) -> Facts:
    """The facts of a finished run.

    Args:
        plan: what was done.
        mask: reads the finished mask.
        urls: results that lie beside the page, by name.
        seconds: what making the results took.
    """
    found = seams.check_seams(plan.tiles.raster, steps(plan), plan.tta_card.lattice_px, mask)
    taken = measure_timings(_reports(plan), seconds)
    named, labelled = area_name(plan), plan.selected(plan.mask_stage)
    return Facts(
        title=PurePosixPath(redact_url(plan.job.source)).name,
        height=plan.raster.height,
        width=plan.raster.width,
        side_m=pixel_side_m(plan.raster),
        area=shorten(named, LONGEST, placeholder=" …") if named else None,
        areas=class_areas.measure_areas(plan.raster, plan.card.classes, mask),
        seams=found,
        seam_rows=tuple(SeamRow(border=b, verdict=advice.verdict(b)) for b in found.borders),
        timings=taken,
        throughput=labelled.pixels / 1e6 / taken.total if taken.total else 0.0,
        bottleneck=advice.bottleneck(taken, plan),
        spoken=settings.spoken(plan),
        settings=settings.settings(plan),
        source=settings.source(plan),
        model=settings.model(plan),
        training=settings.training(plan),
        provenance=_provenance(plan),
        warnings=tuple(map(redact_text, plan.warnings)),
        files=_files(plan, urls),
    )


def steps(plan: Plan) -> dict[str, int]:
    """Distance of borders by kind; kinds that share all their borders are one."""
    kinds = {"patches": plan.patches.step_px, "tiles": plan.tiles.core_px}
    if plan.crf:
        kinds["CRF windows"] = plan.crf.windows.core_px
    longest = max(plan.raster.height, plan.raster.width)
    by_step: dict[int, list[str]] = {}
    for kind, step in kinds.items():
        by_step.setdefault(step, []).append(kind)
    return {", ".join(names): step for step, names in by_step.items() if step < longest}


def _reports(plan: Plan) -> dict[str, list[receipts.Receipt]]:
    url, prints = plan.job.workspace_url, plan.fingerprints
    return {stage: receipts.read_all(url, prints[stage], stage) for stage in plan.stages}


def _provenance(plan: Plan) -> Rows:
    """What tells this run from any other."""
    identity = shorten(plan.raster.identity.replace(";", "; "), LONGEST, placeholder=" …")
    return (
        ("made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("job", plan.fingerprints["mask"]),
        ("source was", identity),
        ("software", settings.versions()),
    )


def _files(plan: Plan, urls: Mapping[str, str]) -> tuple[File, ...]:
    """Relative links: the folder may be moved, or served from elsewhere."""
    prefix = f"{plan.job.to}/"
    beside = {name: url.removeprefix(prefix) for name, url in urls.items()}
    return tuple(File(href=href, text=PRODUCTS[name].description) for name, href in beside.items())
