"""What is decided about a job before its first tile: pure values, and what follows from them.

Nothing is computed or written here. The table of stages (`stages`) is written in these terms, and
`plan.Plan` adds what the stages make of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segtasks.config.job import Job
from segtasks.crf.parameters import CrfParameters
from segtasks.networks.card import Card
from segtasks.networks.inference.tta import TestTimeAugmentation
from segtasks.networks.inference.tuned import TunedInference
from segtasks.raster.confidence import Kind
from segtasks.raster.grid import Grid, TileSelection
from segtasks.raster.header import RasterHeader
from segtasks.raster.patches import PatchGrid
from segtasks.raster.stretch import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class CrfPlan:
    """The CRF of a plan.

    Attributes:
        windows: the grid of the CRF, larger than the tiles.
        halo_px: what a window reads around its core.
        backend: name of the backend, also where the job says auto.
    """

    parameters: CrfParameters
    windows: Grid
    halo_px: int
    backend: str


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Everything a stage needs to do a tile, small enough to travel with each task.

    Attributes:
        tta: scales and angles of the network, and what it pools.
        tta_card: the card of the network together with its TTA.
        bands: source bands in the order of the model.
        stretch: maps raw values to those of the model; ``None``: they are used as they are.
        colours: maps raw values to 0..255 for the CRF, the same for the whole raster.
        crf: ``None`` without a CRF.
        sieve_px: pixels of the smallest region that stays in the mask; 0: no sieve.
        drawn: ids of the classes that become polygons.
        thumbnail_step: stride of the quicklook's subsampling, a divisor of every tile.
        tuned: precision and kernels of the network, measured where the job leaves them open.
        aoi: digest of the area of interest; ``None``: the whole raster.
        selected_bits: per stage the tiles to be done (see `TileSelection`), where not all are.
        fingerprints: per stage and for the whole job ("mask"): what the data depend on.
    """

    job: Job
    raster: RasterHeader
    card: Card
    tta: TestTimeAugmentation
    tta_card: Card
    bands: tuple[int, ...]
    stretch: Stretch | None
    colours: Stretch
    tiles: Grid
    patches: PatchGrid
    crf: CrfPlan | None
    sieve_px: int
    drawn: tuple[int, ...]
    thumbnail_step: int
    tuned: TunedInference = field(default_factory=TunedInference)
    aoi: str | None = None
    selected_bits: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.card.classes)

    @property
    def pools_raster(self) -> bool:
        """Whether a stage before predict takes averages over the whole raster."""
        return self.tta.pooling == "raster"

    @property
    def confidence(self) -> Kind | None:
        """What `confidence.tif` shows; ``None``: it is not asked for."""
        return self.job.outputs.confidence

    @property
    def batch(self) -> int:
        """Patches per forward: one where each has its own place in the raster's pyramid."""
        return 1 if self.pools_raster else self.job.compute.batch

    @property
    def connectedness(self) -> int:
        """4 or 8: which neighbours of a pixel belong to its region when the mask is sieved."""
        return self.job.cleanup.connectedness if self.job.cleanup else 4

    @property
    def mask_grid(self) -> Grid:
        """The grid whose cores are the shards of the mask."""
        return self.crf.windows if self.crf else self.tiles

    @property
    def largest_tile_px(self) -> int:
        """Pixels of the largest core of a tile."""
        return int(min(self.tiles.core_px, max(self.raster.height, self.raster.width)) ** 2)

    def selection(self, stage: str, grid: Grid) -> TileSelection:
        """The tiles of a stage on ``grid`` that are to be done."""
        return TileSelection(grid, self.selected_bits.get(stage))
