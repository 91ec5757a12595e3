"""Reading by windows gives what rasterio reads of the whole, for any window and thread."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks.errors import SourceError
from segtasks.raster.grid import Window
from segtasks.storage import dataset_cache, raster_reader
from tests.helpers.rasters import SHAPE, alpha, holes, pattern, plain, unfinite, write

HEIGHT, WIDTH = SHAPE


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rasters")
    return alpha(folder, bands=3, dtype="uint16", photometric="rgb").source


@st.composite
def windows(draw: st.DrawFn) -> Window:
    row, col = draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))
    height = draw(st.integers(1, HEIGHT - row))
    return Window(row, col, height, draw(st.integers(1, WIDTH - col)))


@given(window=windows(), bands=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_window_is_that_part_of_the_whole_in_the_bands_asked_for(
    source: str, window: Window, bands: list[int]
) -> None:
    image, valid = raster_reader.read(raster_reader.describe(source), tuple(bands), window)
    expected = pattern(3)[[band - 1 for band in bands]]
    np.testing.assert_array_equal(image, expected[(..., *window.slices)])
    np.testing.assert_array_equal(valid, ~holes()[window.slices])
    assert image.dtype == np.uint16


def test_header_says_what_the_file_is(source: str) -> None:
    raster = raster_reader.describe(source)
    assert (raster.height, raster.width) == SHAPE
    assert raster.dtype == "uint16"
    assert raster.bands == (1, 2, 3)
    assert raster.transform == (0.5, 0.0, 500000.0, 0.0, -0.5, 5000000.0)
    assert not raster.warnings


def test_a_raster_without_crs_gives_one_warning(tmp_path: Path) -> None:
    odd = plain(tmp_path, placed=False)
    assert re.search(
        "has no coordinate reference", " ".join(raster_reader.describe(odd.source).warnings)
    )


def test_many_threads_read_at_once(source: str) -> None:
    raster = raster_reader.describe(source)
    parts = [Window(row, 0, 1, WIDTH) for row in range(HEIGHT)]
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda part: raster_reader.read(raster, (2,), part)[0], parts * 3))
    np.testing.assert_array_equal(np.concatenate(images[-HEIGHT:], axis=1)[0], pattern(3)[1])


def test_a_file_replaced_in_the_same_thread_is_read_again_and_the_old_plan_refused(
    tmp_path: Path,
) -> None:
    path, window = tmp_path / "a.tif", Window(0, 0, *SHAPE)
    write(path, pattern())
    old = raster_reader.describe(str(path))
    raster_reader.read(old, (1,), window)
    write(tmp_path / "b.tif", pattern(2)[1:])
    os.utime(tmp_path / "b.tif", ns=(1, 1))
    (tmp_path / "b.tif").replace(path)
    new = raster_reader.describe(str(path))
    assert new.identity != old.identity
    image, _ = raster_reader.read(new, (1,), window)
    np.testing.assert_array_equal(image, pattern(2)[1:])
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(SourceError, match="has changed since this job started; run the job again"),
    ):
        pool.submit(raster_reader.read, old, (1,), window).result()


def test_open_files_stay_few(tmp_path: Path) -> None:
    for index in range(12):
        raster_reader.describe(plain(tmp_path, name=f"{index}.tif").source)
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert sum(link.parent == tmp_path for link in links) <= dataset_cache.OPEN_PER_THREAD


def test_sample_is_of_valid_pixels_only(tmp_path: Path) -> None:
    odd = unfinite(tmp_path, "float32", nodata=5)
    pixels = raster_reader.sample(raster_reader.describe(odd.source), (1, 2, 3), size_px=50)
    assert pixels.shape[1] == 3
    assert np.isfinite(pixels).all()
    assert not (pixels == 5).all(axis=1).any()


def test_unreadable_window_names_file_rows_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "torn.tif"
    noise = np.random.default_rng(0).integers(0, 6, (1, 300, 300), np.uint8)
    write(path, noise, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    raster = raster_reader.describe(str(path))
    raster_reader.read(raster, (1,), Window(0, 0, 64, 300))
    with pytest.raises(SourceError, match=r"torn\.tif: rows 256-300, columns 0-300 cannot be read"):
        raster_reader.read(raster, (1,), Window(256, 0, 44, 300))
    image, _ = raster_reader.read(raster, (1,), Window(0, 0, 64, 300))
    np.testing.assert_array_equal(image, noise[:, :64])
