"""Predict: a window of ``image`` -> ``probabilities``, or the ``mask`` itself without a CRF.

read window --> patches --> network --> stitched in lattice order --> one shard
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import numpy.typing as npt

from segtasks import labels, slot
from segtasks.grid import Tile, Window
from segtasks.networks import shelf
from segtasks.networks.loaded import network
from segtasks.networks.runtime import Runtime, forward_patches, forward_probabilities
from segtasks.patches import Patch
from segtasks.plan import FULL_RANGE, Plan
from segtasks.storage import objects, workspace
from segtasks.storage.rasters import Image, Valid
from segtasks.storage.receipts import Receipt, worker_name

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
Slices = tuple[slice, slice]
Forward = Callable[[Runtime, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a tile read: ``image`` (C, h, w) and ``valid`` (h, w) of ``window``."""

    window: Window
    image: Image
    valid: Valid


def run(plan: Plan, tile: Tile) -> Receipt:
    """Do one core."""
    started, core = time.perf_counter(), plan.tiles.core(tile)
    pixels = _read(plan, tile)
    read_seconds = time.perf_counter() - started
    made = slot.compute(lambda: _make(plan, core, pixels))
    name, maps, histogram = made.result
    writing = time.perf_counter()
    workspace.write(plan.job.workspace_url, name, core, maps)
    return Receipt(
        stage="predict",
        row=tile.row,
        col=tile.col,
        valid_px=int(np.count_nonzero(pixels.valid[core.within(pixels.window)])),
        worker=worker_name(),
        began=made.began,
        histogram=histogram,
        seconds=made.seconds | {"read": read_seconds, "write": time.perf_counter() - writing},
    )


def _read(plan: Plan, tile: Tile) -> Pixels:
    """The read window; of an all-nodata core the core alone, since no patch will be run."""
    url, core = plan.job.workspace_url, plan.tiles.core(tile)
    some = workspace.read(url, "valid", core).any()
    window = plan.read_window("predict", tile) if some else core
    return Pixels(
        window, workspace.read(url, "image", window), workspace.read(url, "valid", window)
    )


def _make(
    plan: Plan, core: Window, pixels: Pixels
) -> tuple[str, npt.NDArray[np.generic], dict[int, int]]:
    """Name of the array this job's predict writes, its data, and the class histogram of a mask."""
    if plan.windows:
        return "probabilities", _probabilities(plan, core, pixels), {}
    mask = _mask(plan, core, pixels)
    return "mask", mask, labels.histogram(mask)


def _mask(plan: Plan, core: Window, pixels: Pixels) -> Mask:
    """Class ids (h, w) of the core."""
    mask = np.zeros(core.shape, np.uint8)
    if plan.lattice.stitch == "blend":
        mask = labels.most_likely(_blend(plan, core, pixels))
    else:
        # The largest logit is the largest probability: the softmax can be spared.
        for patch, maps in _forward(plan, core, pixels, forward_patches):
            kept, inner = _common(plan, patch, core)
            mask[inner] = labels.most_likely(maps[(..., *kept)])
    mask[~pixels.valid[core.within(pixels.window)]] = labels.NODATA
    return mask


def _probabilities(plan: Plan, core: Window, pixels: Pixels) -> npt.NDArray[np.float16]:
    """Probabilities (K, h, w) of the core; all 0 at nodata."""
    if plan.lattice.stitch == "blend":
        total = _blend(plan, core, pixels)
    else:
        total = np.zeros((len(plan.card.classes), *core.shape), np.float32)
        for patch, maps in _forward(plan, core, pixels, forward_probabilities):
            kept, inner = _common(plan, patch, core)
            total[(..., *inner)] = maps[(..., *kept)]
    total[:, ~pixels.valid[core.within(pixels.window)]] = 0
    return total.astype(np.float16)


def _blend(plan: Plan, core: Window, pixels: Pixels) -> Floats:
    """Sum of weight x probability over sum of weight (K, h, w)."""
    total = np.zeros((len(plan.card.classes), *core.shape), np.float32)
    weights = np.full(core.shape, np.finfo(np.float32).tiny)
    # Patches come in the lattice's order, so a pixel's sum has the same bits in every tiling.
    for patch, maps in _forward(plan, core, pixels, forward_probabilities):
        kept, inner = _common(plan, patch, core)
        weight = plan.lattice.weight(patch)[kept]
        total[(..., *inner)] += weight * maps[(..., *kept)]
        weights[inner] += weight
    return total / weights


def _common(plan: Plan, patch: Patch, core: Window) -> tuple[Slices, Slices]:
    """Where what is kept of ``patch`` and the core meet: as index of the patch, and of the core."""
    part = plan.lattice.kept(patch).intersect(core)
    return part.within(patch.window), part.within(core)


def _forward(
    plan: Plan, core: Window, pixels: Pixels, forward: Forward
) -> Iterator[tuple[Patch, Floats]]:
    """Every needed patch with its maps (K, h, w), in the lattice's order."""
    batch = plan.job.compute.batch
    path = objects.local_copy(shelf.resolve(plan.job.model))
    for _, same in groupby(_needed(plan, core, pixels), key=lambda patch: patch.window.shape):
        while patches := list(islice(same, batch)):
            net = network(str(path), plan.card.weights_sha256, batch)
            inputs = np.stack([_normalised(plan, pixels, patch.window) for patch in patches])
            yield from zip(patches, forward(net, inputs), strict=True)


def _needed(plan: Plan, core: Window, pixels: Pixels) -> Iterator[Patch]:
    """The patches that give something to a valid pixel of the core."""
    for patch in plan.lattice.touching(core):
        part = plan.lattice.kept(patch).intersect(core)
        if pixels.valid[part.within(pixels.window)].any():
            yield patch


def _normalised(plan: Plan, pixels: Pixels, window: Window) -> Floats:
    """The network's input (C, h, w): zero mean, unit deviation, 0 at nodata (the mean colour)."""
    inner = window.within(pixels.window)
    raw = pixels.image[(..., *inner)].astype(np.float32)
    if plan.model_range:
        low, high = plan.model_range
        full = FULL_RANGE.get(plan.card.normalisation.dtype, 1.0)
        raw = np.clip((raw - np.float32(low)) * np.float32(full / (high - low)), 0, full)
    raw -= np.array(plan.card.normalisation.mean, np.float32)[:, None, None]
    raw /= np.array(plan.card.normalisation.std, np.float32)[:, None, None]
    raw *= pixels.valid[inner]
    return raw
