"""The area of interest: inside as without it, outside nodata and never read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.features import geometry_mask
from rasterio.warp import transform_geom
from rasterio.windows import Window

from segtasks.config.job import make_job
from segtasks.pipeline.run import Result, segment
from segtasks.storage.raster_reader import Valid
from tests.helpers import job_runs

SIDE, TILE = 384, 64
TILING = {"tile_px": TILE, "patch_px": 128, "overlap_px": 64}
CRF = {"iterations": 2, "window_px": TILE, "halo_px": 16, "bi_xy_std": 4}
# Across tile borders, with a notch and a hole; nowhere near the lower right.
RING = [(75, 72), (175, 78), (172, 140), (140, 130), (83, 162)]
HOLE = [(105, 100), (105, 115), (120, 113)]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("aoi") / "photo.tif", SIDE, SIDE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    return job_runs.write_network(path, "fcn8s_lean", width=0.05)


def polygon(photo: Path) -> dict[str, Any]:
    """The area in the raster's CRS, as GeoJSON."""
    with rasterio.open(photo) as dataset:
        place = dataset.transform
    rings = [[place @ point for point in (*ring, ring[0])] for ring in (RING, HOLE)]
    return {"type": "Polygon", "coordinates": rings}


def wkt(shape: dict[str, Any]) -> str:
    rings = [", ".join(f"{x!r} {y!r}" for x, y in ring) for ring in shape["coordinates"]]
    return f"POLYGON ({', '.join(f'({ring})' for ring in rings)})"


def done(photo: Path, model: Path, to: Path, **settings: Any) -> Result:  # noqa: ANN401 - of a job
    values = {"source": str(photo), "to": str(to), "model": str(model), "tiling": TILING}
    return segment(make_job(values | {"crf": CRF, "compute": {"kind": "inline"}} | settings))


def damaged(photo: Path, to: Path, keep: Window) -> Path:
    """A copy whose blocks outside ``keep`` cannot be read."""
    with rasterio.open(photo) as dataset:
        profile, pixels = dataset.profile, dataset.read()
    profile |= {"compress": "deflate", "blockxsize": TILE, "blockysize": TILE, "tiled": True}
    with rasterio.open(to, "w", **profile) as dataset:
        dataset.write(pixels)
    with rasterio.open(to) as dataset:
        blocks = [
            int(dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1))
            for (row, col), window in dataset.block_windows(1)
            if not rasterio.windows.intersect([window, keep])
        ]
    data = bytearray(to.read_bytes())
    for offset in blocks:
        data[offset : offset + 64] = b"\xff" * 64
    to.write_bytes(data)
    assert blocks
    return to


@pytest.fixture(scope="module", params=[(CRF, "crop"), (None, "crop"), (None, "blend")], ids=str)
def pair(
    photo: Path,
    model: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Result]:
    """All results of the whole raster and of the area, in a folder, and what the latter took."""
    (crf, stitch), to = request.param, tmp_path_factory.mktemp("pair")
    settings = {"crf": crf, "tiling": TILING | {"stitch": stitch}, "outputs": ALL}
    done(photo, model, to / "whole", **settings)
    return to, done(photo, model, to / "part", aoi=wkt(polygon(photo)), **settings)


ALL = {"confidence": "entropy", "probabilities": True}


def outside(photo: Path) -> Valid:
    """Pixels off the area, as rasterio sees it."""
    with rasterio.open(photo) as dataset:
        found: Valid = geometry_mask([polygon(photo)], dataset.shape, dataset.transform)
    return found


def test_inside_it_is_the_mask_of_the_whole_raster(pair: tuple[Path, Result], photo: Path) -> None:
    to, result = pair
    whole, part = (job_runs.read_mask(to / name) for name in ("whole", "part"))
    off = outside(photo)
    assert len(np.unique(whole)) > 1
    assert np.array_equal(part, np.where(off, 255, whole))
    assert sum(result.class_px.values()) == np.count_nonzero(~off)
    assert max(result.tiles.values()) < (SIDE // TILE) ** 2


def test_confidence_and_probabilities_are_cut_like_the_mask(
    pair: tuple[Path, Result], photo: Path
) -> None:
    to, off = pair[0], outside(photo)
    whole, part = (band(to / name / "confidence.tif") for name in ("whole", "part"))
    assert not (whole == 255).any()
    assert len(np.unique(whole[~off])) > 20
    assert np.array_equal(part, np.where(off, 255, whole))
    whole, part = (cube(to / name / "probabilities.zarr") for name in ("whole", "part"))
    assert not np.isnan(whole).any()
    np.testing.assert_array_equal(part, np.where(off, np.float16("nan"), whole))


def band(path: Path) -> Any:  # noqa: ANN401 - uint8
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def cube(path: Path) -> Any:  # noqa: ANN401 - float16
    with xr.open_zarr(path) as dataset:
        return dataset.probabilities.to_numpy()


def test_blocks_it_does_not_need_are_never_read(photo: Path, model: Path, tmp_path: Path) -> None:
    # The CRF's windows end at 192, with halo at 208; tiles to 256, with patches' rims in the next.
    far = damaged(photo, tmp_path / "far.tif", keep=Window(0, 0, 5 * TILE, 5 * TILE))
    done(far, model, tmp_path / "o", aoi=wkt(polygon(photo)))
    done(photo, model, tmp_path / "p", aoi=wkt(polygon(photo)))
    assert np.array_equal(job_runs.read_mask(tmp_path / "o"), job_runs.read_mask(tmp_path / "p"))
    near = damaged(photo, tmp_path / "near.tif", keep=Window(TILE, TILE, TILE, TILE))
    with pytest.raises(Exception, match="cannot be read"):
        done(near, model, tmp_path / "n", aoi=wkt(polygon(photo)), limits={"attempts": 1})


def test_another_area_is_another_job_and_keeps_what_was_predicted(
    photo: Path, model: Path, tmp_path: Path
) -> None:
    shape = wkt(polygon(photo))
    first = done(photo, model, tmp_path, aoi=shape, keep_workspace=True)
    assert done(photo, model, tmp_path, aoi=shape, keep_workspace=True).status == "was done already"
    with pytest.raises(Exception, match="made by another job"):
        done(photo, model, tmp_path, aoi=None)
    with rasterio.open(photo) as dataset:
        left, top = dataset.transform @ (85, 90)
    box = f"{left},{top - 15},{left + 15},{top}"
    second = done(photo, model, tmp_path, aoi=box, keep_workspace=True, overwrite=True)
    assert first.tiles_done["predict"] > 0
    assert second.tiles_done["predict"] == 0
    assert second.tiles_done["refine"] == second.tiles["refine"] > 0
    mask = job_runs.read_mask(tmp_path)
    rows, cols = np.nonzero(mask != 255)
    # 15 m at 0.3 m per px; the box begins on a pixel's corner.
    assert (rows.min(), rows.max() + 1, cols.min(), cols.max() + 1) == (90, 140, 85, 135)
    assert np.array_equal(band(tmp_path / "confidence.tif") == 255, mask == 255)
    # What the first area had no need of is predicted now, and nothing else.
    third = done(photo, model, tmp_path, aoi=None, keep_workspace=True, overwrite=True)
    assert third.tiles_done["predict"] == third.tiles["predict"] - first.tiles["predict"]
    done(photo, model, tmp_path / "once")
    for name in ("mask.tif", "confidence.tif"):
        assert job_runs.sha(tmp_path / name) == job_runs.sha(tmp_path / "once" / name)


def test_results_say_their_area(photo: Path, model: Path, tmp_path: Path) -> None:
    shape = transform_geom("EPSG:32637", "EPSG:4326", polygon(photo))
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": shape}))
    done(photo, model, tmp_path / "o", aoi=str(path))
    for name in ("mask.tif", "confidence.tif"):
        with rasterio.open(tmp_path / "o" / name) as result:
            assert result.tags()["SEGTASKS_AOI"] == str(path)
    item = json.loads((tmp_path / "o" / "item.json").read_bytes())
    assert item["properties"]["segtasks:aoi"] == str(path)
