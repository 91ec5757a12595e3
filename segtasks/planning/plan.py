"""The plan: job, raster header and model card become pure values that say what will be done.

Nothing is computed or written here; a plan that cannot work is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from segtasks.config.job import Job
from segtasks.crf.parameters import CrfParameters
from segtasks.networks.card import Card
from segtasks.networks.inference.tta import TestTimeAugmentation
from segtasks.networks.inference.tuned import TunedInference
from segtasks.raster.confidence import Kind
from segtasks.raster.grid import Grid, Tile, TileSelection, Window
from segtasks.raster.header import RasterHeader
from segtasks.raster.patches import PatchGrid
from segtasks.raster.stretch import Stretch

Stage = Literal["ingest", "pool", "predict", "refine", "components", "sieve", "vectorise"]
FORWARDING: tuple[Stage, ...] = ("pool", "predict")  # what runs the network
GATHERED: tuple[Stage, ...] = ("pool", "components")  # every tile needs all of them


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a stage needs to do a tile, small enough to travel with each task.

    Attributes:
        modes: scales and angles of the network, and what it pools.
        seen: the card as these modes make it.
        bands: source bands in the model's order.
        stretch: what makes raw values the model's; ``None``: as they are.
        colours: what makes raw values 0..255 for the CRF, one stretch for the mosaic.
        windows: the CRF's own grid; ``None`` without a CRF.
        sieve_px: pixels of the smallest piece that stays in the mask; 0: it is not cleaned up.
        drawn: ids of the classes that get polygons.
        crf_backend: who computes it, by name, whatever auto stands for on another machine.
        settled: precision and form of the network, as measured where the job leaves them open.
        aoi: digest of the area of interest; ``None``: the whole raster.
        selected_bits: per stage the tiles that are done (see `Selection`), where not all are.
        thumbnail_step: every how manieth pixel goes into the quicklook.
        fingerprints: per stage and for the whole job ("mask"): what the data depends on.
    """

    job: Job
    raster: RasterHeader
    card: Card
    modes: TestTimeAugmentation
    seen: Card
    bands: tuple[int, ...]
    stretch: Stretch | None
    colours: Stretch
    tiles: Grid
    lattice: PatchGrid
    windows: Grid | None
    crf: CrfParameters | None
    crf_halo_px: int
    crf_backend: str
    sieve_px: int
    drawn: tuple[int, ...]
    thumbnail_step: int
    tuned: TunedInference = field(default_factory=TunedInference)
    aoi: str | None = None
    selected_bits: Mapping[Stage, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The tiled stages, in order."""
        first: tuple[Stage, ...] = ("ingest", "pool") if self.pools_raster else ("ingest",)
        refined: tuple[Stage, ...] = ("refine",) if self.windows else ()
        return (*first, "predict", *refined, *self.after_mask)

    @property
    def after_mask(self) -> tuple[Stage, ...]:
        """The stages that clean up and draw the mask."""
        cleaned: tuple[Stage, ...] = ("components", "sieve") if self.sieve_px else ()
        return (*cleaned, *(("vectorise",) if self.job.vectors else ()))

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
    def mask_stage(self) -> Stage:
        """The stage that makes the mask."""
        return "refine" if self.windows else "predict"

    @property
    def mask_grid(self) -> Grid:
        """The grid whose cores are the shards of the mask."""
        return self.windows or self.tiles

    def grid(self, stage: Stage) -> Grid:
        """The grid of a stage; pool's tiles are the cells of the lattice, whatever the tiles."""
        if stage == "pool":
            return self.lattice.cells
        return self.mask_grid if stage == "refine" else self.tiles

    def selected(self, stage: Stage) -> TileSelection:
        """The tiles of a stage that are done; the others lie off the area, or hold no data."""
        return TileSelection(self.grid(stage), self.selected_bits.get(stage))

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
        selected = self.selected(before)
        if before in GATHERED:
            return iter(selected)
        read = self.grid(before).touching(self.read_window(stage, tile))
        return (need for need in read if need in selected)
