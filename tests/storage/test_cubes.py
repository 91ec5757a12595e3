"""probabilities.zarr: xarray opens it georeferenced, and an unfinished one does not open."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.crs
import rioxarray  # noqa: F401 - xarray's .rio
import xarray as xr
from rasterio import Affine

from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import Affine as Transform
from segtasks.raster.header import RasterHeader
from segtasks.storage import probability_store
from tests.helpers.legends import classes

LEGEND = classes((0, "bare ground", "#808080"), (1, "Größe", "#fe00aa"))
PLACE: Transform = (0.3, 0, 5e5, 0, -0.3, 3e6)
SHARD = 128

pytestmark = pytest.mark.filterwarnings(
    # rioxarray's own.
    "ignore:Use `@` matmul:PendingDeprecationWarning",
)


def raster(transform: Transform | None = PLACE, crs: str | None = "EPSG:32637") -> RasterHeader:
    wkt = rasterio.crs.CRS.from_user_input(crs).to_wkt() if crs else None
    header: dict[str, Any] = {"url": "a.tif", "identity": "", "bands": (1,), "dtype": "uint8"}
    return RasterHeader(height=300, width=200, crs_wkt=wkt, transform=transform, **header)


def data() -> npt.NDArray[np.float16]:
    values = np.random.default_rng(0).random((2, 300, 200)).astype(np.float16)
    values[:, :40] = np.nan
    return values


def parts() -> Iterator[tuple[Window, npt.NDArray[np.float16]]]:
    grid = Grid(300, 200, SHARD)
    for tile in grid.tiles():
        core = grid.core(tile)
        yield core, data()[(..., *core.slices)]


def written(folder: Path, placed: RasterHeader) -> str:
    url = str(folder / "probabilities.zarr")
    probability_store.write(url, placed, LEGEND, SHARD, {"KEY": "ab"}, parts())
    return url


@pytest.mark.parametrize("decode", ["coordinates", "all"])
def test_xarray_opens_it_georeferenced(tmp_path: Path, decode: Any) -> None:  # noqa: ANN401 - xarray's literal
    with xr.open_zarr(written(tmp_path, raster()), decode_coords=decode) as cube:
        found = cube["probabilities"]
        assert found.dims == ("class", "y", "x")
        np.testing.assert_array_equal(found.to_numpy(), data())
        assert found.rio.crs.to_epsg() == 32637
        assert found.rio.transform() == Affine(*PLACE)
        assert found.rio.bounds() == (5e5, 3e6 - 90, 5e5 + 60, 3e6)
        np.testing.assert_allclose(cube["x"][[0, -1]], [5e5 + 0.15, 5e5 + 59.85])
        np.testing.assert_allclose(cube["y"][[0, -1]], [3e6 - 0.15, 3e6 - 89.85])
        assert cube["class"].to_numpy().tolist() == [0, 1]
        assert cube["class"].attrs["names"] == ["bare ground", "Größe"]
        assert cube["class"].attrs["flag_meanings"] == "bare_ground Größe"
        assert cube.attrs["KEY"] == "ab"


def test_the_value_nearest_to_a_place_can_be_selected(tmp_path: Path) -> None:
    with xr.open_zarr(written(tmp_path, raster())) as cube:
        here = cube["probabilities"].sel(x=5e5 + 10.0, y=3e6 - 50.0, method="nearest")
        np.testing.assert_array_equal(here, data()[:, 166, 33])


def test_rotated_rows_have_no_y_but_a_geotransform(tmp_path: Path) -> None:
    turned: Transform = (3, 4, 5e5, 4, -3, 3e6)
    with xr.open_zarr(written(tmp_path, raster(turned))) as cube:
        assert "x" not in cube.coords
        assert cube["probabilities"].rio.transform() == Affine(*turned)


def test_without_georeference_there_are_no_coordinates(tmp_path: Path) -> None:
    with xr.open_zarr(written(tmp_path, raster(None, None))) as cube:
        assert cube["probabilities"].rio.crs is None
        assert set(cube.coords) == {"class", "spatial_ref"}
        np.testing.assert_array_equal(cube["probabilities"], data())


def test_an_unfinished_store_does_not_open_and_is_recognised(tmp_path: Path) -> None:
    url = str(tmp_path / "probabilities.zarr")

    def torn() -> Iterator[tuple[Window, npt.NDArray[np.float16]]]:
        yield next(parts())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probability_store.write(url, raster(), LEGEND, SHARD, {"KEY": "ab"}, torn())
    assert probability_store.read_attribute(url, "KEY") is None
    assert probability_store.is_unfinished(url)
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(url)
    written(tmp_path, raster())
    assert probability_store.read_attribute(url, "KEY") == "ab"
    assert not probability_store.is_unfinished(url)


def test_a_folder_of_other_files_is_no_unfinished_store(tmp_path: Path) -> None:
    (tmp_path / "probabilities.zarr").mkdir()
    (tmp_path / "probabilities.zarr" / ".zgroup").write_text("{}")
    assert not probability_store.is_unfinished(str(tmp_path / "probabilities.zarr"))
    assert probability_store.read_attribute(str(tmp_path / "probabilities.zarr"), "KEY") is None
