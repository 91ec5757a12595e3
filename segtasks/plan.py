"""The plan: job, raster header and model card become pure values that say what will be done.

Nothing is computed or written here; a plan that cannot work is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from segtasks.confidence import Kind
from segtasks.crf.parameters import CrfParameters
from segtasks.grid import Grid, Tile, Window
from segtasks.job import Job, digest
from segtasks.layout import lattice_of
from segtasks.networks import shelf
from segtasks.networks.card import Card
from segtasks.networks.card_file import read_card
from segtasks.networks.graphs.forms import form_of
from segtasks.networks.graphs.sidecar import SUFFIX
from segtasks.networks.modes import Modes, as_seen, modes_of
from segtasks.outputs import vector_files
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
from segtasks.sizes import least_px
from segtasks.storage import objects, rasters
from segtasks.storage.ground import pixel_side_m
from segtasks.vectorisation import drawn_classes
from segtasks.windows import backend_of, core_px, halo_px, parameters_of

Stage = Literal["ingest", "pool", "predict", "refine", "components", "sieve", "vectorise"]
FORWARDING: tuple[Stage, ...] = ("pool", "predict")  # what runs the network
GATHERED: tuple[Stage, ...] = ("pool", "components")  # every tile needs all of them

FORMAT = 1
THUMBNAIL_PX = 1536


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
        sieve_px: pixels of the smallest piece that stays in the mask; 0: it is not cleaned up.
        drawn: ids of the classes that get polygons.
        crf_backend: who computes it, by name, whatever auto stands for on another machine.
        settled: precision and form of the network, as measured where the job leaves them open.
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
    sieve_px: int
    drawn: tuple[int, ...]
    thumbnail_step: int
    settled: Settled = field(default_factory=Settled)
    warnings: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The tiled stages, in order."""
        first: tuple[Stage, ...] = ("ingest", "pool") if self.pools_raster else ("ingest",)
        refined: tuple[Stage, ...] = ("refine",) if self.windows else ()
        cleaned: tuple[Stage, ...] = ("components", "sieve") if self.sieve_px else ()
        drawn: tuple[Stage, ...] = ("vectorise",) if self.job.vectors else ()
        return (*first, "predict", *refined, *cleaned, *drawn)

    @property
    def pools_raster(self) -> bool:
        """Whether a stage before predict takes averages over the whole raster."""
        return self.modes.pooling == "raster"

    @property
    def confidence(self) -> Kind | None:
        """What `confidence.tif` is to show, if anything."""
        return self.job.outputs.confidence

    @property
    def predicted(self) -> tuple[str, ...]:
        """The arrays that predict makes: what refine reads, or the mask and what goes with it."""
        if self.windows:
            return ("probabilities",)
        sure = ("confidence",) if self.confidence else ()
        return ("mask", *sure, *(("probabilities",) if self.job.outputs.probabilities else ()))

    @property
    def batch(self) -> int:
        """Patches per forward: one where each has its own place in the raster's pyramid."""
        return 1 if self.pools_raster else self.job.compute.batch

    @property
    def connectedness(self) -> int:
        """4 or 8: the neighbours of a pixel, for pieces of the mask that is cleaned up."""
        return self.job.cleanup.connectedness if self.job.cleanup else 4

    @property
    def finished_mask(self) -> str:
        """The array of the workspace that becomes the mask."""
        return "sieved" if self.sieve_px else "mask"

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

    def read_window(self, stage: Stage, tile: Tile) -> Window:
        """What a stage reads to do ``tile``."""
        if stage == "refine":
            return self.mask_grid.read_window(tile, self.crf_halo_px)
        if stage == "pool":
            return self.lattice.patch(tile).window
        if stage == "vectorise":
            return self.tiles.read_window(tile, 1)
        core = self.tiles.core(tile)
        return self.lattice.read_window(core) if stage == "predict" else core

    def needs(self, stage: Stage, tile: Tile) -> Iterator[Tile]:
        """The tiles of the stage before that ``tile`` reads."""
        before = self.before(stage)
        if before is None:
            return iter(())
        if before in GATHERED:
            return self.grid(before).tiles()
        return self.grid(before).touching(self.read_window(stage, tile))


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
        sieve_px=least_px(job.cleanup, raster),
        drawn=_drawn(job, card),
        thumbnail_step=_thumbnail_step(raster),
        settled=as_asked(job.inference),
        warnings=(
            *raster.warnings,
            *resolution_advice(raster, card, modes),
            *(colour_warnings(raster, bands, job.stretch) if crf else ()),
        ),
    )
    return _with_fingerprints(plan)


def local_model(model: str) -> Path:
    """The local file of a model, given by name, path or url; beside a graph its sidecar card."""
    url = shelf.resolve(model)
    path = objects.local_copy(url)
    if form_of(path) is not None:
        objects.copy_companion(url, SUFFIX)
    return path


def _drawn(job: Job, card: Card) -> tuple[int, ...]:
    """Ids of the classes that get polygons, where those can be written."""
    if job.vectors:
        vector_files.require(job.vectors)
    return drawn_classes(job.vectors, [entry.name for entry in card.classes])


def _thumbnail_step(raster: Raster) -> int:
    """A power of two up to 64, which divides every tile."""
    step = 1
    while step < 64 and max(raster.height, raster.width) > step * THUMBNAIL_PX:  # noqa: PLR2004 - see above
        step *= 2
    return step


def _with_fingerprints(plan: Plan) -> Plan:
    """A stage's data depends on the stage before and on its own settings, and on nothing else.

    The mask does not depend on the tiles, nor on what is made beside it, so neither does its
    fingerprint.
    """
    source, network, crf = _source_digest(plan), _network_digest(plan), _crf_digest(plan)
    ingest = digest(FORMAT, source, plan.tiles.core_px)
    also = [name for name in plan.predicted if name != "mask"] if plan.windows is None else []
    sure = [plan.confidence] if plan.confidence else []
    predict = digest(ingest, network, plan.windows is None, *also, *(sure if also else []))
    pool = {"pool": digest(ingest, network)} if plan.pools_raster else {}
    refine = digest(predict, crf, plan.crf_backend, *sure)
    prints = {
        "ingest": ingest,
        **pool,
        "predict": predict,
        "refine": refine,
        **_after_refine(plan, refine if plan.windows else predict),
        # As asked: auto's mask is done, also where auto stands for another backend by now.
        "mask": digest(
            FORMAT, source, network, crf, plan.job.crf and plan.job.crf.backend, *_beyond(plan)
        ),
    }
    return replace(plan, fingerprints=prints)


def _after_refine(plan: Plan, made: str) -> dict[str, str]:
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
