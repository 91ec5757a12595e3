"""Masks to sieve and to vectorise, whole and by tiles; the sieve's rule written out by hand."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from segtasks.raster.grid import Grid
from segtasks.raster.labels import NODATA
from segtasks.raster.regions.connected_components import Bytes, components
from segtasks.raster.regions.small_regions import (
    border_components_of,
    merge_small_regions,
    resolve_small_regions,
)


def sieved(mask: Bytes, least_px: int, connectedness: int, tile_px: int) -> Bytes:
    """Sieve a mask tile by tile."""
    (height, width), out = mask.shape, np.empty_like(mask)
    grid = Grid(height, width, tile_px)
    cores = [grid.core(tile) for tile in grid.tiles()]
    found = [components(mask[core.slices], core, grid.width, connectedness) for core in cores]
    parts = {
        tile: border_components_of(each, least_px)
        for tile, each in zip(grid.tiles(), found, strict=True)
    }
    rims = resolve_small_regions(parts, grid, connectedness, least_px)
    for core, each, rim in zip(cores, found, rims, strict=True):
        out[core.slices] = merge_small_regions(each, rim, least_px)
    return out


def by_hand(mask: Bytes, least_px: int) -> Bytes:
    """Sieve a mask (4-connected) by the rule as it is written, slowly and plainly."""
    from scipy.ndimage import label  # noqa: PLC0415 - 0.3 s

    ids, classes = np.full(mask.shape, -1), list[int]()
    for class_id in np.unique(mask[mask != NODATA]):
        found, count = label(mask == class_id)
        ids[found > 0] = found[found > 0] + len(classes) - 1
        classes += [class_id] * count
    sizes = np.bincount(ids[ids >= 0], minlength=len(classes))
    best: dict[int, int] = {}
    for row, col in np.ndindex(mask.shape):
        for near in ((row - 1, col), (row, col - 1)):
            if min(near) >= 0 and min(one := int(ids[row, col]), other := int(ids[near])) >= 0:
                for a, b in ((one, other), (other, one)):
                    if a != b and (a not in best or sizes[best[a]] < sizes[b]):
                        best[a] = b
    out = mask.copy()
    for component in range(len(classes)):
        seen, at = [], component
        while sizes[at] < least_px and at not in seen and at in best:
            seen.append(at)
            at = best[at]
        if sizes[at] >= least_px:
            out[ids == component] = classes[at]
    return out


def blobs(height: int, width: int, seed: int, classes: int = 4, grain: float = 3.0) -> Bytes:
    """A mask of smooth noise cut into classes, with speckles, and nodata in corners and specks."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 - 0.3 s

    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(height, width)), grain)
    bounds = np.quantile(smooth, np.linspace(0, 1, classes + 1)[1:-1])
    mask: Bytes = np.digitize(smooth, bounds).astype(np.uint8)
    noisy = rng.random(mask.shape) < 0.05
    mask[noisy] = rng.integers(0, classes, mask.shape)[noisy]
    mask[rng.random(mask.shape) < 0.005] = NODATA
    mask[: height // 5, : width // 4] = mask[-height // 6 :, -width // 5 :] = NODATA
    return mask


@st.composite
def masks(draw: Any) -> Bytes:  # noqa: ANN401 - hypothesis' draw
    """Small masks of few classes, with some pixels nodata."""
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    values = st.sampled_from(draw(st.sampled_from([(0, 1), (0, 1, 2), (0, 1, NODATA)])))
    pixels = draw(st.lists(values, min_size=height * width, max_size=height * width))
    return np.array(pixels, np.uint8).reshape(height, width)
