"""The plan: job, raster header and model card become pure values that say what will be done.

Nothing is computed or written here; a plan that cannot work is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from segtasks.crf.parameters import CrfParameters
from segtasks.grid import Grid, Selection, Tile, Window
from segtasks.job import Job, digest
from segtasks.layout import lattice_of
from segtasks.networks import shelf
from segtasks.networks.card import Card
from segtasks.networks.card_file import read_card
from segtasks.networks.graphs.forms import form_of
from segtasks.networks.graphs.sidecar import SUFFIX
from segtasks.networks.modes import Modes, as_seen, modes_of
from segtasks.patches import Lattice
from segtasks.radiometry import (
    Range,
    bands_of,
    colour_range_of,
    colour_warnings,
    model_range_of,
    resolution_advice,
)
from segtasks.raster import Raster
from segtasks.settled import Settled, as_asked
from segtasks.storage import areas, footprint, objects, rasters
from segtasks.storage.ground import pixel_side_m
from segtasks.windows import backend_of, core_px, halo_px, parameters_of

Stage = Literal["ingest", "pool", "predict", "refine"]
FORWARDING: tuple[Stage, ...] = ("pool", "predict")  # what runs the network

FORMAT = 1
THUMBNAIL_PX = 1536
WHOLE_READ = (
    "the network averages over the whole raster, so all of it is read, whatever the area; "
    "--pooling patch reads the area alone"
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a stage needs to do a tile, small enough to travel with each task.

    Attributes:
        modes: scales and angles of the network, and what it pools.
        seen: the card as these modes make it.
        bands: source bands in the model's order.
        model_range: raw values that become the model's 0 and full range; ``None``: as they are.
        colour_range: raw values that become 0 and 255 for the CRF, one range for the mosaic.
        windows: the CRF's own grid; ``None`` without a CRF.
        crf_backend: who computes it, by name, whatever auto stands for on another machine.
        settled: precision and form of the network, as measured where the job leaves them open.
        aoi: digest of the area of interest; ``None``: the whole raster.
        selected_bits: per stage the tiles that are done (see `Selection`), where not all are.
        thumbnail_step: every how manieth pixel goes into the quicklook.
        fingerprints: per stage and for the whole job ("mask"): what the data depends on.
    """

    job: Job
    raster: Raster
    card: Card
    modes: Modes
    seen: Card
    bands: tuple[int, ...]
    model_range: Range | None
    colour_range: Range
    tiles: Grid
    lattice: Lattice
    windows: Grid | None
    crf: CrfParameters | None
    crf_halo_px: int
    crf_backend: str
    thumbnail_step: int
    settled: Settled = field(default_factory=Settled)
    aoi: str | None = None
    selected_bits: Mapping[Stage, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The tiled stages, in order."""
        first: tuple[Stage, ...] = ("ingest", "pool") if self.pools_raster else ("ingest",)
        return (*first, "predict", "refine") if self.windows else (*first, "predict")

    @property
    def pools_raster(self) -> bool:
        """Whether a stage before predict takes averages over the whole raster."""
        return self.modes.pooling == "raster"

    @property
    def batch(self) -> int:
        """Patches per forward: one where each has its own place in the raster's pyramid."""
        return 1 if self.pools_raster else self.job.compute.batch

    def before(self, stage: Stage) -> Stage | None:
        """The stage whose tiles ``stage`` needs; ``None`` for the first."""
        index = self.stages.index(stage)
        return self.stages[index - 1] if index else None

    @property
    def mask_grid(self) -> Grid:
        """The grid whose cores are the shards of the mask."""
        return self.windows or self.tiles

    def grid(self, stage: Stage) -> Grid:
        """The grid of a stage; pool's tiles are the cells of the lattice, whatever the tiles."""
        if stage == "pool":
            return self.lattice.cells
        return self.mask_grid if stage == "refine" else self.tiles

    def selected(self, stage: Stage) -> Selection:
        """The tiles of a stage that are done; the others lie off the area, or hold no data."""
        return Selection(self.grid(stage), self.selected_bits.get(stage))

    def read_window(self, stage: Stage, tile: Tile) -> Window:
        """What a stage reads to do ``tile``."""
        if stage == "refine":
            return self.mask_grid.read_window(tile, self.crf_halo_px)
        if stage == "pool":
            return self.lattice.patch(tile).window
        core = self.tiles.core(tile)
        return self.lattice.read_window(core) if stage == "predict" else core

    def needs(self, stage: Stage, tile: Tile) -> Iterator[Tile]:
        """The tiles of the stage before that ``tile`` reads."""
        before = self.before(stage)
        if before is None:
            return iter(())
        selected = self.selected(before)
        if before == "pool":
            return iter(selected)
        read = self.tiles.touching(self.read_window(stage, tile))
        return (need for need in read if need in selected)


def make_plan(job: Job) -> Plan:
    """Read the source's header and the model's card, and decide everything.

    Raises:
        SourceError: the source cannot be read or does not fit the model.
        ModelError: the model file cannot be used.
        JobError: settings off the lattice, or that contradict the model.
    """
    card = read_card(local_model(job.model))
    raster = rasters.describe(job.source)
    bands = bands_of(job, raster, card)
    model_range = model_range_of(job, raster, card, bands)
    crf = parameters_of(job.crf, card) if job.crf else None
    halo = halo_px(job.crf, crf) if job.crf and crf else 0
    backend = backend_of(job, job.crf) if job.crf else "none"
    core = core_px(job, raster, len(bands), len(card.classes), halo=halo, backend=backend)
    modes = modes_of(job.inference, card, pixel_side_m(raster))
    seen = as_seen(modes, card)
    plan = Plan(
        job=job,
        raster=raster,
        card=card,
        modes=modes,
        seen=seen,
        bands=bands,
        model_range=model_range,
        colour_range=model_range or colour_range_of(raster, bands, needed=crf is not None),
        tiles=Grid(raster.height, raster.width, job.tiling.tile_px),
        lattice=lattice_of(job, raster, seen),
        windows=Grid(raster.height, raster.width, core) if job.crf else None,
        crf=crf,
        crf_halo_px=halo,
        crf_backend=backend,
        thumbnail_step=_thumbnail_step(raster),
        settled=as_asked(job.inference),
        warnings=(
            *raster.warnings,
            *resolution_advice(raster, card, modes),
            *(colour_warnings(raster, bands, job.stretch) if crf else ()),
            *((WHOLE_READ,) if job.aoi and modes.pooling == "raster" else ()),
        ),
    )
    return _with_fingerprints(_with_selection(plan))


def area_of(plan: Plan) -> areas.Area | None:
    """The job's area of interest, over its raster.

    Raises:
        JobError: it cannot be understood, or holds no pixel of the raster.
        SourceError: its file cannot be read.
    """
    job = plan.job
    return areas.describe(job.aoi, job.aoi_crs, plan.raster) if job.aoi else None


def _with_selection(plan: Plan) -> Plan:
    """Only what holds a pixel of the area and of data is done, and what that reads.

    What is read beyond the area's edge is real, so that inside nothing differs from a run without
    it. Averages over the raster are taken over all of it.
    """
    area, empty = area_of(plan), footprint.empty_tiles(plan.raster, plan.tiles)
    if area is None and not empty:
        return plan
    grid = plan.mask_grid
    wanted = area.tiles(grid) if area else Selection(grid)
    filled = (tile for tile in wanted if _has_data(plan, grid.core(tile), empty))
    chosen = {plan.stages[-1]: Selection.of(grid, filled)}
    for stage, before in pairwise(reversed(plan.stages)):
        if before == "pool":
            chosen[before] = Selection(plan.lattice.cells)
        else:
            read = {each for tile in chosen[stage] for each in plan.needs(stage, tile)}
            chosen[before] = Selection.of(plan.tiles, (each for each in read if each not in empty))
    bits = {stage: each.bits for stage, each in chosen.items() if each.bits is not None}
    return replace(plan, aoi=area.digest if area else None, selected_bits=bits)


def _has_data(plan: Plan, window: Window, empty: Selection) -> bool:
    return any(tile not in empty for tile in plan.tiles.touching(window))


def local_model(model: str) -> Path:
    """The local file of a model, given by name, path or url; beside a graph its sidecar card."""
    url = shelf.resolve(model)
    path = objects.local_copy(url)
    if form_of(path) is not None:
        objects.copy_companion(url, SUFFIX)
    return path


def _thumbnail_step(raster: Raster) -> int:
    """A power of two up to 64, which divides every tile."""
    step = 1
    while step < 64 and max(raster.height, raster.width) > step * THUMBNAIL_PX:  # noqa: PLR2004 - see above
        step *= 2
    return step


def _with_fingerprints(plan: Plan) -> Plan:
    """A stage's data depends on the stage before and on its own settings, and on nothing else.

    The mask does not depend on the tiles, so neither does its fingerprint.
    """
    source, network, crf = _source_digest(plan), _network_digest(plan), _crf_digest(plan)
    ingest = digest(FORMAT, source, plan.tiles.core_px)
    # What comes before the cut to the area is the same whatever the area.
    area = [plan.aoi] if plan.aoi else []
    predict = digest(ingest, network, plan.windows is None, *([] if plan.windows else area))
    pool = {"pool": digest(ingest, network)} if plan.pools_raster else {}
    prints = {
        "ingest": ingest,
        **pool,
        "predict": predict,
        "refine": digest(predict, crf, plan.crf_backend, *area),
        # As asked: auto's mask is done, also where auto stands for another backend by now.
        "mask": digest(FORMAT, source, network, crf, plan.job.crf and plan.job.crf.backend, *area),
    }
    return replace(plan, fingerprints=prints)


def with_settled(plan: Plan, settled: Settled) -> Plan:
    """The plan with its network settled; forwards made in another way are not taken for its own."""
    chosen = (settled.precision, settled.form)
    forwarded = plan.stages[plan.stages.index("ingest") + 1 :]
    prints = dict(plan.fingerprints)
    prints.update({stage: digest(prints[stage], chosen) for stage in forwarded})
    return replace(plan, settled=settled, fingerprints=prints)


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
        plan.model_range,
        (list(map(str, modes.scales)), modes.angles, modes.fusion, modes.pooling),
        (lattice.step_px, lattice.margin_px, lattice.stitch),
        (plan.job.inference.precision, plan.job.inference.form),
    )


def _crf_digest(plan: Plan) -> str:
    core = plan.windows and plan.windows.core_px
    return digest(plan.crf and asdict(plan.crf), core, plan.crf_halo_px, plan.colour_range)
