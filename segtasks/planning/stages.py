"""THE TABLE OF STAGES: what each tiled stage reads, writes, needs and depends on.

    ingest ─▶ (pool ─▶) predict ─▶ (refine ─▶) (components ─▶ sieve ─▶) (vectorise)

Plan, cost, fingerprints, workspace, traffic, timing, executors and report are derived from these
rows. A new stage is a row here, a module in ``segtasks/pipeline/stages`` and its settings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from segtasks.planning import fingerprints
from segtasks.planning.crf_windows import bytes_of_px
from segtasks.planning.decisions import Decisions
from segtasks.planning.worker import TILES_IN_FLIGHT
from segtasks.raster.grid import Grid, Tile, Window
from segtasks.raster.labels import NODATA
from segtasks.raster.patches import PatchGrid
from segtasks.raster.units import FLOAT_BYTES, HALF_BYTES
from segtasks.storage.workspace import ArraySpec

MASK_LEVEL = 3  # of zstd: masks compress well and are written once
COMPONENT_BYTES, OUTLINE_BYTES = 60, 120  # per pixel of a core, on a mask full of speckles
RIM_PX, RIM_BYTES, EDGE_BYTES = 4, 200, 24  # a component every so many pixels of a rim
RIM_STORED_BYTES, DRAWN_STORED_BYTES = 20, 1.0  # of tables: per pixel of a rim, and of a core

Parts = Sequence[object]
Prints = Mapping[str, str]


def _core(plan: Decisions, tile: Tile) -> Window:
    return plan.tiles.core(tile)


def _tiles(plan: Decisions) -> Grid:
    return plan.tiles


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One row of the table.

    Attributes:
        module: where its tiles are done; a name, so that planning imports no torch.
        when: whether a plan has this stage.
        arrays: the workspace arrays that it writes, by name; ``None``: not in this plan.
        mask: the array with the labels after this stage; ``None``: it makes none.
        fingerprint: what its data depend on, given the digests of the stages before it.
        results_depend_on: what published results depend on because of this stage, as the job asks
            for it; nothing about tiles, on which no result depends.
        grid: its tiles; their cores are what it writes.
        read_window: what it reads to do a tile.
        work_px: pixels that a tile computes; by default those that it reads.
        worker_bytes: memory of its tiles in a worker process, beyond the process itself.
        read_bytes: bytes that it reads of the workspace per pixel of its read window.
        stored_bytes: bytes of the tables that it writes for so many pixels of its cores.
        on_gpu: whether its tiles go to workers that have a GPU, where some have one.
        computes: what its computing counts as, where a report says what took the time.
        shrinks: which sizes make its memory smaller.
        gathered: whether every tile of the next stage needs all of this one.
        repeatable: whether it may be repeated with other settings on a finished workspace.
        timed_as: the stage whose seconds per pixel stand for its own when tiles are timed.
        timed_with_halo: whether what it reads around a core must be there to time it.
    """

    module: str
    fingerprint: Callable[[Decisions, Prints], Parts]
    results_depend_on: Callable[[Decisions], Parts]
    when: Callable[[Decisions], bool] = lambda _: True
    arrays: Mapping[str, Callable[[Decisions], ArraySpec | None]] = field(default_factory=dict)
    mask: Callable[[Decisions], str | None] = lambda _: None
    grid: Callable[[Decisions], Grid] = _tiles
    read_window: Callable[[Decisions, Tile], Window] = _core
    work_px: Callable[[Decisions, Tile], float] | None = None
    worker_bytes: Callable[[Decisions], int]
    read_bytes: Callable[[Decisions], int] = lambda _: 0
    stored_bytes: Callable[[Decisions, int], float] = lambda _plan, _px: 0
    on_gpu: Callable[[Decisions], bool] = lambda _: False
    computes: Literal["network", "CRF"] | None = None
    shrinks: tuple[Literal["tile", "patch", "window"], ...] = ("tile",)
    gathered: bool = False
    repeatable: bool = False
    timed_as: str | None = None
    timed_with_halo: bool = False


def pixel_bytes(plan: Decisions) -> int:
    """Bytes of one pixel of the image and its validity."""
    return len(plan.bands) * np.dtype(plan.raster.dtype).itemsize + 1


# --- arrays ---------------------------------------------------------------------------------------


def _image(plan: Decisions) -> ArraySpec:
    shard = plan.tiles.core_px
    return ArraySpec(leading=(len(plan.bands),), dtype=plan.raster.dtype, shard_px=shard, fill=0)


def _valid(plan: Decisions) -> ArraySpec:
    return ArraySpec(leading=(), dtype="bool", shard_px=plan.tiles.core_px, fill=0)


def _thumbnail(plan: Decisions) -> ArraySpec:
    step = plan.thumbnail_step
    return ArraySpec(
        leading=(len(plan.bands),),
        dtype=plan.raster.dtype,
        shard_px=plan.tiles.core_px // step,
        fill=0,
        step=step,
    )


def _probabilities(plan: Decisions) -> ArraySpec | None:
    if not plan.crf and not plan.job.outputs.probabilities:
        return None
    shard = plan.tiles.core_px
    return ArraySpec(leading=(plan.classes,), dtype="float16", shard_px=shard, fill=0)


def _labels(shard_px: int) -> ArraySpec:
    return ArraySpec(leading=(), dtype="uint8", shard_px=shard_px, fill=NODATA, level=MASK_LEVEL)


def _mask(plan: Decisions) -> ArraySpec:
    return _labels(plan.mask_grid.core_px)


def _confidence(plan: Decisions) -> ArraySpec | None:
    return _labels(plan.mask_grid.core_px) if plan.confidence else None


# --- predict and pool -----------------------------------------------------------------------------


def _forwarded_px(plan: Decisions, tile: Tile) -> float:
    """Pixels through the network: of each patch that touches a tile, at all scales and angles."""
    rows = _spans_px(plan.patches, plan.tiles.core_px, tile.row, plan.raster.height)
    cols = _spans_px(plan.patches, plan.tiles.core_px, tile.col, plan.raster.width)
    return rows * cols * plan.tta.forward_factor


@lru_cache(maxsize=2**16)
def _spans_px(patches: PatchGrid, core_px: int, index: int, length: int) -> int:
    """Summed lengths, along one axis, of the patches that give something to a row of tiles."""
    start, stop = index * core_px, min((index + 1) * core_px, length)
    first = max(0, start - patches.reach_px) // patches.step_px
    last = (min(stop + patches.reach_px, length) - 1) // patches.step_px
    spans = (patches.span(cell * patches.step_px, length) for cell in range(first, last + 1))
    return sum(high - low for low, high in spans)


def _largest_patch_px(plan: Decisions) -> int:
    """Pixels of a patch; at the border of a raster it is no larger than the raster."""
    side = min(plan.patches.patch_px, max(plan.raster.height, plan.raster.width))
    return int(side**2)


def _pool_bytes(plan: Decisions) -> int:
    """One forward, and what two cells read."""
    forward = plan.card.forward_bytes_per_px + FLOAT_BYTES * len(plan.bands)
    return _largest_patch_px(plan) * (forward + TILES_IN_FLIGHT * pixel_bytes(plan))


def _predict_bytes(plan: Decisions) -> int:
    """One forward, and twice what a tile reads and makes."""
    classes, patch_px, core_px = plan.classes, _largest_patch_px(plan), plan.largest_tile_px
    read_px = max(core_px, patch_px) + 4 * plan.patches.margin_px * plan.tiles.core_px
    # What is made of logits in addition to the mask needs their softmax as well.
    is_mask_alone = not plan.crf and not plan.confidence and not plan.job.outputs.probabilities
    maps = classes if plan.crf or is_mask_alone else 2 * classes
    forward_px = plan.tta_card.forward_bytes_per_px + FLOAT_BYTES * (len(plan.bands) + maps)
    made_px = classes * (FLOAT_BYTES + HALF_BYTES) + FLOAT_BYTES
    tile = read_px * pixel_bytes(plan) + core_px * made_px
    return patch_px * forward_px + TILES_IN_FLIGHT * tile


def _predict_depends_on(plan: Decisions, prints: Prints) -> Parts:
    """What the CRF reads does not depend on what is made of it, nor on the area of interest."""
    depends = (prints["ingest"], fingerprints.network(plan), plan.crf is None)
    if plan.crf:
        return depends
    also = ["confidence"] if plan.confidence else []
    also += ["probabilities"] if plan.job.outputs.probabilities else []
    kind = [plan.confidence] if plan.confidence else []
    area = [plan.aoi] if plan.aoi else []
    return (*depends, *also, *kind, *area)


# --- refine ---------------------------------------------------------------------------------------


def _refine_bytes(plan: Decisions) -> int:
    if not plan.crf:
        return 0
    side = plan.crf.windows.core_px + 2 * plan.crf.halo_px
    side = min(side, max(plan.raster.height, plan.raster.width))
    per_px = bytes_of_px(plan.raster, len(plan.bands), plan.classes, plan.crf.backend)
    return int(side**2 * per_px)


def _refine_depends_on(plan: Decisions, prints: Prints) -> Parts:
    kind = [plan.confidence] if plan.confidence else []
    area = [plan.aoi] if plan.aoi else []
    backend = plan.crf.backend if plan.crf else "none"
    return (prints["predict"], fingerprints.crf(plan), backend, *kind, *area)


def _refined_results_depend_on(plan: Decisions) -> Parts:
    """The backend is the one that the job names.

    A mask made with auto is done, also where auto stands for another backend by now.
    """
    area = [plan.aoi] if plan.aoi else []
    return (fingerprints.crf(plan), plan.job.crf and plan.job.crf.backend, *area)


# --- components, sieve, vectorise -----------------------------------------------------------------


def _rims_px(plan: Decisions) -> int:
    """Summed length of the rims of all tiles whose components are labelled, px."""
    cores = (plan.tiles.core(tile) for tile in plan.selection("components", plan.tiles))
    return sum(2 * (core.height + core.width) for core in cores)


def _sieve_bytes(plan: Decisions) -> int:
    """Components of two tiles, and those on the rims of all tiles, of which there are many."""
    rim_px = _rims_px(plan)
    tables = rim_px // RIM_PX * RIM_BYTES + rim_px * EDGE_BYTES
    return TILES_IN_FLIGHT * plan.largest_tile_px * COMPONENT_BYTES + tables


def mask_before(plan: Decisions, stage: str) -> tuple[str, str]:
    """The stage that made the mask which ``stage`` reads, and the array that holds it."""
    before = list(STAGES)[: list(STAGES).index(stage)]
    return _last_mask(plan, before)


def finished_mask(plan: Decisions) -> tuple[str, str]:
    """The stage that makes the finished mask, and the array that holds it."""
    return _last_mask(plan, list(STAGES))


def _last_mask(plan: Decisions, stages: Sequence[str]) -> tuple[str, str]:
    made = ((name, STAGES[name].mask(plan)) for name in stages if STAGES[name].when(plan))
    return [(name, array) for name, array in made if array][-1]


STAGES: Mapping[str, StageSpec] = {
    "ingest": StageSpec(
        module="segtasks.pipeline.stages.ingest",
        arrays={"image": _image, "valid": _valid, "thumbnail": _thumbnail},
        worker_bytes=lambda plan: TILES_IN_FLIGHT * 2 * plan.tiles.core_px**2 * pixel_bytes(plan),
        fingerprint=lambda plan, _: (
            fingerprints.FORMAT,
            fingerprints.source(plan),
            plan.tiles.core_px,
        ),
        results_depend_on=lambda plan: (fingerprints.source(plan),),
    ),
    "pool": StageSpec(
        module="segtasks.pipeline.stages.pool",
        when=lambda plan: plan.pools_raster,
        grid=lambda plan: plan.patches.cells,
        read_window=lambda plan, tile: plan.patches.patch(tile).window,
        worker_bytes=_pool_bytes,
        read_bytes=pixel_bytes,
        on_gpu=lambda _: True,
        computes="network",
        shrinks=("patch",),
        gathered=True,
        timed_as="predict",
        fingerprint=lambda plan, prints: (prints["ingest"], fingerprints.network(plan)),
        results_depend_on=lambda _: (),
    ),
    "predict": StageSpec(
        module="segtasks.pipeline.stages.predict",
        arrays={
            "mask": lambda plan: None if plan.crf else _mask(plan),
            "confidence": lambda plan: None if plan.crf else _confidence(plan),
            "probabilities": _probabilities,
        },
        mask=lambda plan: None if plan.crf else "mask",
        read_window=lambda plan, tile: plan.patches.read_window(plan.tiles.core(tile)),
        work_px=_forwarded_px,
        worker_bytes=_predict_bytes,
        read_bytes=pixel_bytes,
        on_gpu=lambda _: True,
        computes="network",
        shrinks=("tile", "patch"),
        fingerprint=_predict_depends_on,
        results_depend_on=lambda plan: (fingerprints.network(plan),),
    ),
    "refine": StageSpec(
        module="segtasks.pipeline.stages.refine",
        when=lambda plan: plan.crf is not None,
        arrays={"mask": _mask, "confidence": _confidence},
        mask=lambda _: "mask",
        grid=lambda plan: plan.mask_grid,
        read_window=lambda plan, tile: plan.mask_grid.read_window(
            tile, plan.crf.halo_px if plan.crf else 0
        ),
        worker_bytes=_refine_bytes,
        read_bytes=lambda plan: pixel_bytes(plan) + HALF_BYTES * plan.classes,
        on_gpu=lambda plan: plan.crf is not None and plan.crf.backend == "torch",
        computes="CRF",
        shrinks=("window",),
        repeatable=True,
        timed_with_halo=True,
        fingerprint=_refine_depends_on,
        results_depend_on=_refined_results_depend_on,
    ),
    "components": StageSpec(
        module="segtasks.pipeline.stages.components",
        when=lambda plan: bool(plan.sieve_px),
        worker_bytes=lambda plan: TILES_IN_FLIGHT * plan.largest_tile_px * COMPONENT_BYTES,
        read_bytes=lambda _: 1,
        stored_bytes=lambda plan, _: _rims_px(plan) * RIM_STORED_BYTES,
        gathered=True,
        repeatable=True,
        fingerprint=lambda plan, prints: (
            prints[mask_before(plan, "components")[0]],
            "components",
            plan.sieve_px,
            plan.connectedness,
            plan.tiles.core_px,
        ),
        results_depend_on=lambda _: (),
    ),
    "sieve": StageSpec(
        module="segtasks.pipeline.stages.sieve",
        when=lambda plan: bool(plan.sieve_px),
        arrays={"sieved": lambda plan: _labels(plan.tiles.core_px)},
        mask=lambda _: "sieved",
        worker_bytes=_sieve_bytes,
        read_bytes=lambda _: 1,
        repeatable=True,
        fingerprint=lambda _, prints: (prints["components"], "sieve"),
        results_depend_on=lambda plan: (
            (plan.sieve_px, plan.connectedness) if plan.job.cleanup else ()
        ),
    ),
    "vectorise": StageSpec(
        module="segtasks.pipeline.stages.vectorise",
        when=lambda plan: plan.job.vectors is not None,
        read_window=lambda plan, tile: plan.tiles.read_window(tile, 1),
        worker_bytes=lambda plan: TILES_IN_FLIGHT * plan.largest_tile_px * OUTLINE_BYTES,
        read_bytes=lambda plan: 1 + (plan.confidence is not None),
        stored_bytes=lambda _, px: px * DRAWN_STORED_BYTES,
        repeatable=True,
        fingerprint=lambda plan, prints: (
            prints[mask_before(plan, "vectorise")[0]],
            plan.job.vectors and plan.job.vectors.model_dump(exclude={"format"}),
        ),
        results_depend_on=lambda plan: (plan.job.vectors.model_dump(),) if plan.job.vectors else (),
    ),
}

ARRAYS = tuple(dict.fromkeys(name for spec in STAGES.values() for name in spec.arrays))
"""Names of all arrays that a workspace may hold."""
