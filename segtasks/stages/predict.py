"""Predict: a window of ``image`` -> ``probabilities``, or the ``mask`` itself without a CRF.

read window --> patches --> network --> stitched in lattice order --> one shard
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks import inputs, labels, slot
from segtasks.grid import Tile, Window
from segtasks.inputs import Pixels, net_of, network_of, normalised
from segtasks.networks.pooling import heading
from segtasks.networks.runtime import Net, forward_patches, forward_probabilities
from segtasks.patches import Patch
from segtasks.plan import Plan
from segtasks.storage import areas, shares, workspace
from segtasks.storage.rasters import Valid
from segtasks.storage.receipts import Receipt, worker_name

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Mask = npt.NDArray[np.uint8]
Slices = tuple[slice, slice]
Forward = Callable[[Net, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Work:
    """A core, what was read for it, and where in it (h, w) labels are wanted."""

    core: Window
    pixels: Pixels
    wanted: Valid


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one core: probabilities for the CRF, or the mask at once."""
    started, core = time.perf_counter(), plan.tiles.core(tile)
    work = _read(plan, tile)
    product = PROBABILITIES if plan.windows else MASK
    # Made here and not in the slot: what outlives a forward must not lie in the slot's memory.
    out = product.empty(plan, core)
    read_seconds = time.perf_counter() - started
    done = slot.compute(lambda: product.fill(plan, work, out))
    writing = time.perf_counter()
    out[..., ~work.wanted] = product.nodata
    workspace.write(plan.job.workspace_url, product.name, core, out)
    return Receipt(
        stage="predict",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(work.wanted)),
        worker=worker_name(),
        began=done.began,
        histogram={} if plan.windows else labels.histogram(out),
        seconds=done.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )


def _read(plan: Plan, tile: Tile) -> Work:
    """The read window; where nothing is wanted the core alone, since no patch will be run."""
    url, core = plan.job.workspace_url, plan.tiles.core(tile)
    wanted = workspace.read(url, "valid", core)
    # What the CRF reads beyond the area's edge must be there; it cuts the mask to the area.
    if plan.aoi and not plan.windows:
        wanted &= areas.inside(url, plan.aoi, core)
    window = plan.read_window("predict", tile) if wanted.any() else core
    return Work(core, inputs.read(plan, window), wanted)


def _fill_mask(plan: Plan, work: Work, out: Mask) -> None:
    """Class ids (h, w) of the core."""
    if plan.lattice.stitch == "blend":
        out[:] = labels.most_likely(_blend(plan, work))
        return
    # The largest logit is the largest probability: the softmax can be spared.
    for patch, maps in _forward(plan, work, forward_patches):
        kept, inner = _common(plan, patch, work.core)
        out[inner] = labels.most_likely(maps[(..., *kept)])


def _fill_probabilities(plan: Plan, work: Work, out: Halves) -> None:
    """Probabilities (K, h, w) of the core."""
    if plan.lattice.stitch == "blend":
        out[:] = _blend(plan, work)
        return
    for patch, maps in _forward(plan, work, forward_probabilities):
        kept, inner = _common(plan, patch, work.core)
        out[(..., *inner)] = maps[(..., *kept)]


def _blend(plan: Plan, work: Work) -> Floats:
    """Sum of weight x probability over sum of weight (K, h, w)."""
    total = np.zeros((len(plan.card.classes), *work.core.shape), np.float32)
    weights = np.full(work.core.shape, np.finfo(np.float32).tiny)
    # Patches come in the lattice's order, so a pixel's sum has the same bits in every tiling.
    for patch, maps in _forward(plan, work, forward_probabilities):
        kept, inner = _common(plan, patch, work.core)
        part = plan.lattice.kept(patch)
        weight = plan.lattice.weight(patch)[part.intersect(work.core).within(part)]
        total[(..., *inner)] += weight * maps[(..., *kept)]
        weights[inner] += weight
    return total / weights


def _common(plan: Plan, patch: Patch, core: Window) -> tuple[Slices, Slices]:
    """Where what is kept of ``patch`` and the core meet: as index of the patch, and of the core."""
    part = plan.lattice.kept(patch).intersect(core)
    return part.within(patch.window), part.within(core)


def _forward(plan: Plan, work: Work, forward: Forward) -> Iterator[tuple[Patch, Floats]]:
    """Every needed patch with its maps (K, h, w), in the lattice's order."""
    for _, same in groupby(_needed(plan, work), key=lambda patch: patch.window.shape):
        while patches := list(islice(same, plan.batch)):
            stack = np.stack([normalised(plan, work.pixels, patch.window) for patch in patches])
            yield from zip(patches, forward(_network(plan, patches[0]), stack), strict=True)


def _network(plan: Plan, patch: Patch) -> Net:
    """The network; with averages over the raster it must know where in the raster ``patch`` is."""
    if not plan.pools_raster:
        return net_of(plan)
    total = shares.total(plan.job.workspace_url, plan.fingerprints["pool"], plan.lattice.cells)
    return heading(network_of(plan), patch.window, plan.tiles.raster, total)


def _needed(plan: Plan, work: Work) -> Iterator[Patch]:
    """The patches that give something to a wanted pixel of the core."""
    for patch in plan.lattice.touching(work.core):
        part = plan.lattice.kept(patch).intersect(work.core)
        if work.wanted[part.within(work.core)].any():
            yield patch


@dataclass(frozen=True, slots=True)
class Product:
    """One of the two arrays that predict can make: how it is filled, and what nodata is in it."""

    name: str
    dtype: str
    nodata: int
    fill: Callable[..., None]

    def empty(self, plan: Plan, core: Window) -> npt.NDArray[Any]:
        """The array of a core, with a leading class axis when it holds one value per class."""
        leading = (len(plan.card.classes),) if self.name == "probabilities" else ()
        return np.zeros((*leading, *core.shape), self.dtype)


PROBABILITIES = Product("probabilities", "float16", 0, _fill_probabilities)
MASK = Product("mask", "uint8", labels.NODATA, _fill_mask)
