"""Predict: a window of ``image`` -> ``probabilities``, or the ``mask`` itself without a CRF.

    read window --> patches --> network --> stitched in grid order --> one shard

The order does not depend on the tile.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.networks.card import Gives
from segtasks.networks.inference.raster_pooling import head_pass
from segtasks.networks.inference.runtime import Net, forward_patches, forward_probabilities
from segtasks.pipeline import network_input
from segtasks.pipeline.network_input import Pixels, net_of, network_of, normalise
from segtasks.pipeline.tile_stage import TileStage, Written
from segtasks.planning.plan import Plan
from segtasks.raster import confidence, labels
from segtasks.raster.grid import Tile, Window
from segtasks.raster.patches import Patch
from segtasks.storage import aoi, pooled_sums, workspace
from segtasks.storage.raster_reader import Valid

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
Slices = tuple[slice, slice]
Forward = Callable[[Net, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Work:
    """A core and what was read for it.

    Attributes:
        needed: where in the core (h, w) the answer of the network is needed.
        arrays: the arrays of the core that are to be filled, by name. They are made before the
            forward: what outlives a forward must not lie in the memory of the compute slot.
    """

    core: Window
    pixels: Pixels
    needed: Valid
    arrays: Arrays


def read(plan: Plan, tile: Tile) -> Work:
    """Read the image; only the core where nothing is needed, since no patch will be run."""
    url, core = plan.job.workspace_url, plan.tiles.core(tile)
    needed = workspace.read(url, "valid", core)
    # The CRF reads beyond the edge of the area; it cuts its own results to the area.
    if not plan.crf:
        needed = aoi.cut(needed, url, plan.aoi, core)
    window = plan.read_window("predict", tile) if needed.any() else core
    arrays = {
        name: np.zeros((*spec.leading, *core.shape), spec.dtype)
        for name, spec in plan.arrays("predict").items()
    }
    return Work(core, network_input.read(plan, window), needed, arrays)


def compute(plan: Plan, _tile: Tile, work: Work) -> None:
    """Fill all arrays of the core."""
    out = work.arrays
    if plan.patches.stitch == "blend":
        _take(plan, _blend(plan, work), out, gives="probabilities")
        return
    # The network gives logits, some graphs give probabilities; the CRF reads probabilities.
    gives: Gives = plan.card.graph.gives if plan.card.graph else "logits"
    forward = forward_patches
    if "mask" not in out:
        gives, forward = "probabilities", forward_probabilities
    for patch, maps in _forward(plan, work, forward):
        kept, inner = _common(plan, patch, work.core)
        parts = {name: array[(..., *inner)] for name, array in out.items()}
        _take(plan, maps[(..., *kept)], parts, gives=gives)


def write(plan: Plan, _tile: Tile, work: Work, _: None) -> Written:
    """Write the arrays of the core, nodata where nothing was needed."""
    for name, array in work.arrays.items():
        array[..., ~work.needed] = plan.arrays("predict")[name].fill
        workspace.write(plan.job.workspace_url, name, work.core, array)
    mask = work.arrays.get("mask")
    return Written(
        valid_px=int(np.count_nonzero(work.needed)),
        histogram={} if mask is None else labels.histogram(mask),
    )


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


def _blend(plan: Plan, work: Work) -> Floats:
    """Sum of weight x probability over sum of weight (K, h, w)."""
    total = np.zeros((len(plan.card.classes), *work.core.shape), np.float32)
    weights = np.full(work.core.shape, np.finfo(np.float32).tiny)
    # Patches come in the order of their grid, so that a sum has the same bits for any tiles.
    for patch, maps in _forward(plan, work, forward_probabilities):
        kept, inner = _common(plan, patch, work.core)
        part = plan.patches.kept(patch)
        weight = plan.patches.weight(patch)[part.intersect(work.core).within(part)]
        total[(..., *inner)] += weight * maps[(..., *kept)]
        weights[inner] += weight
    return total / weights


def _common(plan: Plan, patch: Patch, core: Window) -> tuple[Slices, Slices]:
    """Where what is kept of ``patch`` and the core meet: as index of the patch, and of the core."""
    part = plan.patches.kept(patch).intersect(core)
    return part.within(patch.window), part.within(core)


def _forward(plan: Plan, work: Work, forward: Forward) -> Iterator[tuple[Patch, Floats]]:
    """Every needed patch with its maps (K, h, w), in the order of the patch grid."""
    for _, same in groupby(_needed(plan, work), key=lambda patch: patch.window.shape):
        while patches := list(islice(same, plan.batch)):
            stack = np.stack([normalise(plan, work.pixels, patch.window) for patch in patches])
            yield from zip(patches, forward(_network(plan, patches[0]), stack), strict=True)


def _network(plan: Plan, patch: Patch) -> Net:
    """The network; with averages over the raster it must know where in the raster ``patch`` is."""
    if not plan.pools_raster:
        return net_of(plan)
    total = pooled_sums.total(plan.job.workspace_url, plan.fingerprints["pool"], plan.patches.cells)
    return head_pass(network_of(plan), patch.window, plan.tiles.raster, total)


def _needed(plan: Plan, work: Work) -> Iterator[Patch]:
    """The patches that give something to a needed pixel of the core."""
    for patch in plan.patches.touching(work.core):
        part = plan.patches.kept(patch).intersect(work.core)
        if work.needed[part.within(work.core)].any():
            yield patch


STAGE = TileStage(read=read, compute=compute, write=write)
