"""The sieve by tiles equals GDAL's sieve of the whole image in every pixel."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rasterio.features import sieve
from scipy.ndimage import label

from segtasks.raster.grid import Window
from segtasks.raster.labels import NODATA
from segtasks.raster.regions.connected_components import Bytes, components
from segtasks.raster.regions.small_regions import border_components_of
from tests.helpers.mosaics import blobs, by_hand, masks, sieved


def by_gdal(mask: Bytes, least_px: int, connectedness: int) -> Bytes:
    out: Bytes = sieve(mask, least_px, mask=mask != NODATA, connectivity=connectedness)
    return out


@given(masks(), st.integers(1, 30), st.sampled_from([4, 8]), st.integers(1, 21))
def test_any_mask_in_any_tiles(
    mask: Bytes, least_px: int, connectedness: int, tile_px: int
) -> None:
    assume(least_px < mask.size)  # rasterio refuses more
    expected = by_gdal(mask, least_px, connectedness)
    np.testing.assert_array_equal(sieved(mask, least_px, connectedness, tile_px), expected)


@given(masks(), st.integers(1, 30), st.integers(1, 21))
def test_the_rule_by_hand(mask: Bytes, least_px: int, tile_px: int) -> None:
    np.testing.assert_array_equal(sieved(mask, least_px, 4, tile_px), by_hand(mask, least_px))


@pytest.mark.parametrize("connectedness", [4, 8])
@pytest.mark.parametrize("tile_px", [33, 64, 128, 500])
def test_a_noisy_mask(tile_px: int, connectedness: int) -> None:
    mask = blobs(300, 260, seed=tile_px)
    out = sieved(mask, 40, connectedness, tile_px)
    np.testing.assert_array_equal(out, by_gdal(mask, 40, connectedness))
    assert ((out == NODATA) == (mask == NODATA)).all()
    assert (out != mask).mean() > 0.02


def test_components_are_scipys() -> None:
    mask = blobs(150, 130, seed=1)
    found = components(mask, Window(0, 0, 150, 130), 130)
    count = 0
    for class_id in range(4):
        expected, n = label(mask == class_id)
        pairs = np.unique(np.stack([expected, found.ids])[:, mask == class_id], axis=1)
        assert pairs.shape[1] == n
        count += n
    assert len(found.classes) == count
    assert (np.bincount(found.ids[found.ids >= 0]) == found.sizes).all()


def test_one_component_through_all_tiles_and_chains_across_them() -> None:
    """A snake one pixel wide is large; its neighbours are merged into it, each in its own tile."""
    mask = np.zeros((48, 48), np.uint8)
    mask[::2] = 1
    mask[1::4, -1] = mask[3::4, 0] = 1
    out = sieved(mask, 100, 4, 7)
    assert (out == 1).all()
    np.testing.assert_array_equal(out, by_gdal(mask, 100, 4))


def test_the_table_holds_few_inner_components() -> None:
    mask = blobs(400, 400, seed=5, grain=2)
    found = components(mask, Window(0, 0, 400, 400), 400)
    part = border_components_of(found, 40)
    at_border = int(found.touches_border().sum())
    assert len(found.classes) > 4000
    assert at_border <= len(part.classes) < 2 * at_border
