"""From a job to its plan: only the header of the source and the card of the model are read."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from segtasks.config.job import Job
from segtasks.config.vectors import drawn_classes
from segtasks.networks import pretrained
from segtasks.networks.card import Card
from segtasks.networks.card_file import card_of_model
from segtasks.networks.graphs.file_format import form_of
from segtasks.networks.graphs.sidecar import SUFFIX
from segtasks.networks.inference.tta import card_with_tta, tta_of
from segtasks.networks.inference.tuned import without_tuning
from segtasks.planning.band_selection import band_warnings, select_bands
from segtasks.planning.crf_windows import crf_plan
from segtasks.planning.patch_layout import patch_grid_of
from segtasks.planning.plan import Plan, Stage, with_fingerprints
from segtasks.planning.radiometry import (
    colour_warnings,
    colours_of,
    light_advice,
    resolution_advice,
    stretch_of,
)
from segtasks.planning.sieve_size import sieve_px
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Grid, Tile, TileSelection
from segtasks.raster.header import RasterHeader
from segtasks.raster.pixel_area import pixel_side_m
from segtasks.storage import aoi, empty_tiles, local_copy, raster_reader, vector_writer

THUMBNAIL_PX = 1536
WHOLE_READ = (
    "the network averages over the whole raster, so all of it is read despite the area; "
    "--pooling patch reads the area alone"
)


def make_plan(job: Job) -> Plan:
    """Read the header of the source and the card of the model, and decide everything.

    A graph whose card is incomplete is run first, to measure the missing fields (`card_of_model`).

    Raises:
        SourceError: the source cannot be read or does not fit the model.
        ModelError: the model file cannot be used.
        JobError: a setting contradicts the model, or a size is not a multiple of its stride.
    """
    card = card_of_model(local_model(job.model))
    raster = raster_reader.describe(job.source)
    bands = select_bands(job, raster, card)
    stretch = stretch_of(job, raster, card, bands)
    crf = crf_plan(job, raster, card, bands)
    tta = tta_of(job.inference, card, pixel_side_m(raster))
    tta_card = card_with_tta(tta, card)
    plan = Plan(
        job=job,
        raster=raster,
        card=card,
        tta=tta,
        tta_card=tta_card,
        bands=bands,
        stretch=stretch,
        colours=stretch or colours_of(raster, bands, needed=crf is not None),
        tiles=Grid(raster.height, raster.width, job.tiling.tile_px),
        patches=patch_grid_of(job, raster, tta_card),
        crf=crf,
        sieve_px=sieve_px(job.cleanup, raster),
        drawn=_drawn(job, card),
        thumbnail_step=_thumbnail_step(raster),
        tuned=without_tuning(job.inference),
        warnings=(
            *raster.warnings,
            *band_warnings(job, raster, card),
            *resolution_advice(raster, card, tta),
            *light_advice(job, raster, card),
            *(colour_warnings(raster, bands, job.stretch) if crf else ()),
            *((WHOLE_READ,) if job.aoi and tta.pooling == "raster" else ()),
        ),
    )
    return with_fingerprints(_with_selection(plan))


def area_of(plan: Plan) -> aoi.Area | None:
    """Return the area of interest of the job on its raster; ``None``: the whole raster.

    Raises:
        JobError: it cannot be understood, or contains no pixel of the raster.
        SourceError: its file cannot be read.
    """
    job = plan.job
    return aoi.describe(job.aoi, job.aoi_crs, plan.raster) if job.aoi else None


def _with_selection(plan: Plan) -> Plan:
    """Select the tiles that hold a valid pixel of the area, and the tiles that these read.

    Pixels outside the area are read as they are, so that the labels inside are those of a run
    without an area. Averages over the raster are taken over the whole raster. The stages after the
    mask find nodata outside the area and need no tile there.
    """
    area, empty = area_of(plan), empty_tiles.empty_tiles(plan.raster, plan.tiles)
    if area is None and not empty:
        return plan
    labelling = (plan.mask_stage, *plan.after_mask)
    chosen: dict[Stage, TileSelection] = {
        stage: _labelled(plan, plan.grid(stage), area, empty) for stage in labelling
    }
    first = plan.stages[: -len(plan.after_mask) or None]
    for stage, before in pairwise(reversed(first)):
        if STAGES[before].gathered:
            chosen[before] = TileSelection(plan.grid(before))
        else:
            read = {each for tile in chosen[stage] for each in plan.needs(stage, tile)}
            chosen[before] = TileSelection.of(
                plan.tiles, (each for each in read if each not in empty)
            )
    bits = {stage: each.bits for stage, each in chosen.items() if each.bits is not None}
    return replace(plan, aoi=area.digest if area else None, selected_bits=bits)


def _labelled(plan: Plan, grid: Grid, area: aoi.Area | None, empty: TileSelection) -> TileSelection:
    """Return the tiles of ``grid`` in which a pixel may get a label."""

    def has_data(tile: Tile) -> bool:
        return any(each not in empty for each in plan.tiles.touching(grid.core(tile)))

    wanted = area.tiles(grid) if area else TileSelection(grid)
    return TileSelection.of(grid, filter(has_data, wanted))


def local_model(model: str) -> Path:
    """Return the local file of a model given by name, path or URL, with the card of a graph."""
    url = pretrained.resolve(model)
    path = local_copy.local_copy(url)
    if form_of(path) is not None:
        local_copy.copy_companion(url, SUFFIX)
    return path


def _drawn(job: Job, card: Card) -> tuple[int, ...]:
    """Return the ids of the classes that become polygons; check that these can be written."""
    if job.vectors:
        vector_writer.require(job.vectors)
    return drawn_classes(job.vectors, [entry.name for entry in card.classes])


def _thumbnail_step(raster: RasterHeader) -> int:
    """Return a power of two up to 64, which divides every tile."""
    step = 1
    while step < 64 and max(raster.height, raster.width) > step * THUMBNAIL_PX:  # noqa: PLR2004 - see above
        step *= 2
    return step
