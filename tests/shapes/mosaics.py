"""Masks to sieve and to vectorise, whole and by tiles."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from segtasks.components import Bytes, components
from segtasks.grid import Grid
from segtasks.labels import NODATA
from segtasks.sieving import merged, part_of, settle


def sieved(mask: Bytes, least_px: int, connectedness: int, tile_px: int) -> Bytes:
    """The mask sieved tile by tile."""
    (height, width), out = mask.shape, np.empty_like(mask)
    grid = Grid(height, width, tile_px)
    cores = [grid.core(tile) for tile in grid.tiles()]
    found = [components(mask[core.slices], core, grid.width, connectedness) for core in cores]
    parts = {tile: part_of(each, least_px) for tile, each in zip(grid.tiles(), found, strict=True)}
    rims = settle(parts, grid, connectedness, least_px)
    for core, each, rim in zip(cores, found, rims, strict=True):
        out[core.slices] = merged(each, rim, least_px)
    return out


def blobs(height: int, width: int, seed: int, classes: int = 4, grain: float = 3.0) -> Bytes:
    """Smooth noise cut into classes, speckles on it, nodata in two corners and some specks."""
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
    """Small masks of few classes, some pixels nodata."""
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    values = st.sampled_from(draw(st.sampled_from([(0, 1), (0, 1, 2), (0, 1, NODATA)])))
    pixels = draw(st.lists(values, min_size=height * width, max_size=height * width))
    return np.array(pixels, np.uint8).reshape(height, width)
