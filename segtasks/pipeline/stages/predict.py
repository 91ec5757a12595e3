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

from segtasks.networks.card import Gives
from segtasks.networks.inference.raster_pooling import heading
from segtasks.networks.inference.runtime import Net, forward_patches, forward_probabilities
from segtasks.pipeline import compute_slot, network_input
from segtasks.pipeline.network_input import Pixels, net_of, network_of, normalise
from segtasks.planning.plan import Plan
from segtasks.raster import confidence, labels
from segtasks.raster.grid import Tile, Window
from segtasks.raster.patches import Patch
from segtasks.storage import aoi, pooled_sums, workspace
from segtasks.storage.raster_reader import Valid
from segtasks.storage.receipts import Receipt, worker_name

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
Slices = tuple[slice, slice]
Forward = Callable[[Net, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Work:
    """A core, what was read for it, and where in it (h, w) the network's answer is needed."""

    core: Window
    pixels: Pixels
    needed: Valid


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one core: probabilities for the CRF, or the mask at once with what goes with it."""
    started, core = time.perf_counter(), plan.tiles.core(tile)
    work = _read(plan, tile)
    # Made here and not in the slot: what outlives a forward must not lie in the slot's memory.
    out = {name: _empty(plan, name, core) for name in plan.predicted}
    read_seconds = time.perf_counter() - started
    done = compute_slot.compute(lambda: _fill(plan, work, out))
    writing = time.perf_counter()
    for name, array in out.items():
        array[..., ~work.needed] = ARRAYS[name].nodata
        workspace.write(plan.job.workspace_url, name, core, array)
    return Receipt(
        stage="predict",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(work.needed)),
        worker=worker_name(),
        began=done.began,
        histogram=labels.histogram(out["mask"]) if "mask" in out else {},
        seconds=done.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )


def _read(plan: Plan, tile: Tile) -> Work:
    """The read window; where nothing is needed the core alone, since no patch will be run."""
    url, core = plan.job.workspace_url, plan.tiles.core(tile)
    needed = workspace.read(url, "valid", core)
    # What the CRF reads beyond the area's edge must be there; it cuts its results to the area.
    if not plan.windows:
        needed = aoi.cut(needed, url, plan.aoi, core)
    window = plan.read_window("predict", tile) if needed.any() else core
    return Work(core, network_input.read(plan, window), needed)


def _fill(plan: Plan, work: Work, out: Arrays) -> None:
    """All arrays of the core."""
    if plan.lattice.stitch == "blend":
        _take(plan, _blend(plan, work), out, gives="probabilities")
        return
    gives = _gives(plan) if "mask" in out else "probabilities"
    forward = forward_patches if "mask" in out else forward_probabilities
    for patch, maps in _forward(plan, work, forward):
        kept, inner = _common(plan, patch, work.core)
        parts = {name: array[(..., *inner)] for name, array in out.items()}
        _take(plan, maps[(..., *kept)], parts, gives=gives)


def _take(plan: Plan, maps: Floats, out: Arrays, *, gives: Gives) -> None:
    """Make all arrays of maps (K, h, w)."""
    if "mask" in out:
        # Of the logits themselves: after a softmax two that differ in the last bit may be equal.
        out["mask"][:] = labels.argmax_labels(maps)
    if set(out) == {"mask"}:
        return
    probabilities = confidence.softmax(maps) if gives == "logits" else maps
    if plan.confidence and "confidence" in out:
        out["confidence"][:] = confidence.quantise_confidence(probabilities, plan.confidence)
    if "probabilities" in out:
        out["probabilities"][:] = probabilities


def _gives(plan: Plan) -> Gives:
    """What comes out of the network, whatever its modes."""
    return plan.card.graph.gives if plan.card.graph else "logits"


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
            stack = np.stack([normalise(plan, work.pixels, patch.window) for patch in patches])
            yield from zip(patches, forward(_network(plan, patches[0]), stack), strict=True)


def _network(plan: Plan, patch: Patch) -> Net:
    """The network; with averages over the raster it must know where in the raster ``patch`` is."""
    if not plan.pools_raster:
        return net_of(plan)
    total = pooled_sums.total(plan.job.workspace_url, plan.fingerprints["pool"], plan.lattice.cells)
    return heading(network_of(plan), patch.window, plan.tiles.raster, total)


def _needed(plan: Plan, work: Work) -> Iterator[Patch]:
    """The patches that give something to a needed pixel of the core."""
    for patch in plan.lattice.touching(work.core):
        part = plan.lattice.kept(patch).intersect(work.core)
        if work.needed[part.within(work.core)].any():
            yield patch


@dataclass(frozen=True, slots=True)
class Kept:
    """How an array keeps its values, and what nodata is in it."""

    dtype: str
    nodata: int


ARRAYS = {
    "probabilities": Kept("float16", 0),
    "mask": Kept("uint8", labels.NODATA),
    "confidence": Kept("uint8", labels.NODATA),
}


def _empty(plan: Plan, name: str, core: Window) -> npt.NDArray[Any]:
    """The array of a core, with a leading class axis where it holds one value per class."""
    leading = (len(plan.card.classes),) if name == "probabilities" else ()
    return np.zeros((*leading, *core.shape), ARRAYS[name].dtype)
