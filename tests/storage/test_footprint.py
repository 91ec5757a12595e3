"""Tiles proven to be empty are empty: compared with reading all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window as Area

from segtasks.raster.grid import Grid, Tile
from segtasks.storage import raster_reader
from segtasks.storage.empty_tiles import empty_tiles

BLOCK, TILE, SHAPE = 64, 128, (500, 700)
BLOCKS = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
PROFILE: dict[str, Any] = {"driver": "GTiff", "height": SHAPE[0], "width": SHAPE[1], **BLOCKS}


def truly_empty(path: Path) -> set[Tile]:
    """Find empty tiles by reading every pixel."""
    raster = raster_reader.describe(str(path))
    grid = Grid(raster.height, raster.width, TILE)
    return {
        tile
        for tile in grid.tiles()
        if not raster_reader.read(raster, raster.bands, grid.core(tile))[1].any()
    }


def proven(path: Path) -> set[Tile]:
    raster = raster_reader.describe(str(path))
    return set(empty_tiles(raster, Grid(raster.height, raster.width, TILE)))


def write_sparse(path: Path, **profile: Any) -> Path:  # noqa: ANN401 - rasterio's own
    """Write a file of which only two blocks have data."""
    given = {"dtype": "uint8", "count": 3, "sparse_ok": True, **profile}
    with rasterio.open(path, "w", **PROFILE, **given) as dataset:
        for row, col in ((0, 64), (320, 448)):
            data = np.full((given["count"], BLOCK, BLOCK), 9, given["dtype"])
            dataset.write(data, window=Area(col, row, BLOCK, BLOCK))
    return path


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(
    "profile",
    [
        {"nodata": 0},
        {"nodata": 7, "compress": "deflate"},
        {"nodata": float("nan"), "dtype": "float32"},
        {"count": 4, "photometric": "RGB", "alpha": "yes"},
        {"count": 4, "photometric": "RGB", "alpha": "yes", "nodata": 0},
    ],
    ids=str,
)
def test_missing_blocks_are_all_that_is_empty(
    tmp_path: Path, profile: dict[str, Any], interleave: str
) -> None:
    path = write_sparse(tmp_path / "a.tif", interleave=interleave, **profile)
    assert proven(path) == truly_empty(path)
    assert len(proven(path)) == 4 * 6 - 2


def test_missing_blocks_without_nodata_are_black_pixels(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a.tif")
    assert truly_empty(path) == proven(path) == set()


def with_overviews(
    path: Path,
    valid: np.ndarray[Any, Any],
    method: Resampling,
    **more: Any,  # noqa: ANN401 - rasterio's own
) -> Path:
    rng = np.random.default_rng(1)
    pixels = np.where(valid, rng.integers(1, 255, (3, *SHAPE)), more.get("nodata", 0))
    with rasterio.open(
        path, "w", **PROFILE, **{"dtype": "uint8", "count": 3, "nodata": 0} | more
    ) as out:
        out.write(pixels.astype("u1"))
    with rasterio.open(path, "r+") as out:
        out.build_overviews([2, 4, 8], method)
    return path


def spots(seed: int, count: int) -> np.ndarray[Any, Any]:
    """Write a file with single pixels of data at random places."""
    rng, valid = np.random.default_rng(seed), np.zeros(SHAPE, np.bool_)
    valid[rng.integers(0, SHAPE[0], count), rng.integers(0, SHAPE[1], count)] = True
    return valid


@pytest.mark.parametrize("nodata", [0, 255])
@pytest.mark.parametrize("seed", range(6))
def test_averages_never_hide_a_pixel(tmp_path: Path, seed: int, nodata: int) -> None:
    path = with_overviews(tmp_path / "a.tif", spots(seed, 5), Resampling.average, nodata=nodata)
    assert proven(path) <= truly_empty(path)
    assert len(proven(path)) >= 10  # of 24; around a spot the next tile may be in doubt


def test_a_frame_of_nodata_is_found(tmp_path: Path) -> None:
    valid = np.zeros(SHAPE, np.bool_)
    valid[200:330, 300:500] = True
    path = with_overviews(tmp_path / "a.tif", valid, Resampling.average)
    assert proven(path) == truly_empty(path) != set()


@pytest.mark.parametrize(
    ("method", "more"),
    [
        (Resampling.nearest, {}),
        (Resampling.mode, {}),
        (Resampling.cubic, {}),
        (Resampling.average, {"nodata": 7}),  # a mean of 6 and 8
        (Resampling.average, {"compress": "jpeg", "photometric": "ycbcr"}),
    ],
    ids=str,
)
def test_what_proves_nothing_is_not_used(
    tmp_path: Path, method: Resampling, more: dict[str, Any]
) -> None:
    path = with_overviews(tmp_path / "a.tif", np.zeros(SHAPE, np.bool_), method, **more)
    assert proven(path) == set()


def test_overviews_in_a_separate_file_are_not_used(tmp_path: Path) -> None:
    path = with_overviews(tmp_path / "a.tif", np.zeros(SHAPE, np.bool_), Resampling.average)
    assert len(proven(path)) == 24
    bare = tmp_path / "b.tif"
    rasterio.shutil.copy(path, bare, driver="GTiff", copy_src_overviews=False)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(bare, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    assert (tmp_path / "b.tif.ovr").exists()
    assert proven(bare) == set()


def test_an_alpha_band_or_mask_decides_for_itself(tmp_path: Path) -> None:
    path = with_overviews(
        tmp_path / "a.tif", np.zeros(SHAPE, np.bool_), Resampling.average, count=3
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.alpha)
    assert proven(path) <= truly_empty(path)
