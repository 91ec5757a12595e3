"""Sieve and polygons of an area are those of its part of the mask, cut out before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import geometry_mask, rasterize, shapes

from segtasks.config.job import make_job
from segtasks.pipeline.run import Result, segment
from segtasks.planning.planner import make_plan
from segtasks.raster.regions.connected_components import Bytes
from tests.helpers import job_runs
from tests.helpers.mosaics import by_hand

LEAST_PX = 40
CRF = {"bi_xy_std": 5, "window_px": 128}
VECTORS = {"format": "gpkg"}
Ring = Sequence[tuple[float, float]]
# (col, row): two fields with a column of tiles between them, one crosses nodata; one far below.
FIELDS: Sequence[Ring] = (
    [(10.3, 20), (120, 35.7), (100, 150), (60, 90), (15, 140)],
    [(200, 60), (290, 60), (290, 131), (200, 131)],
    [(30, 262), (190, 270), (80, 297)],
)
SHIFTED: Sequence[Ring] = ([(90, 50), (180, 80), (150, 190)],)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("area")
    photo = job_runs.write_photo(folder / "photo.tif", 300, 400, nodata_rows=40)
    return photo, job_runs.write_network(folder / "m.safetensors", "linear", width=1)


def polygons(scene: tuple[Path, Path], fields: Sequence[Ring]) -> list[dict[str, Any]]:
    """In the raster's CRS, as GeoJSON."""
    with rasterio.open(scene[0]) as dataset:
        place = dataset.transform
    rings = [[place @ point for point in (*ring, ring[0])] for ring in fields]
    return [{"type": "Polygon", "coordinates": [ring]} for ring in rings]


def wkt(scene: tuple[Path, Path], fields: Sequence[Ring]) -> str:
    rings = [each["coordinates"][0] for each in polygons(scene, fields)]
    texts = [", ".join(f"{x!r} {y!r}" for x, y in ring) for ring in rings]
    return f"MULTIPOLYGON ({', '.join(f'(({text}))' for text in texts)})"


def job(scene: tuple[Path, Path], to: Path, **more: object) -> dict[str, Any]:
    paths = {"source": str(scene[0]), "model": str(scene[1]), "to": str(to)}
    tiling = {"patch_px": 128, "overlap_px": 0, "tile_px": 64}
    fixed = {"tiling": tiling, "compute": {"kind": "inline"}, "outputs": {"confidence": None}}
    return {**paths, **fixed, **more}


def run(scene: tuple[Path, Path], to: Path, **more: object) -> Result:
    return segment(make_job(job(scene, to, **more)))


def cut(mask: Bytes, scene: tuple[Path, Path], fields: Sequence[Ring]) -> Bytes:
    with rasterio.open(scene[0]) as dataset:
        off = geometry_mask(polygons(scene, fields), dataset.shape, dataset.transform)
    return np.where(off, np.uint8(255), mask)


def areas(pairs: Sequence[tuple[float, float]]) -> list[tuple[int, float]]:
    return sorted((int(class_id), round(area / 0.09, 3)) for class_id, area in pairs)


def same_polygons(path: Path, mask: Bytes, scene: tuple[Path, Path]) -> None:
    """Burnt they are the mask, and they are as many and as large as GDAL's."""
    with rasterio.open(scene[0]) as dataset:
        place = dataset.transform
    frame = geopandas.read_file(path)
    pairs = list(zip(frame.geometry, frame["class"], strict=True))
    burnt = rasterize(pairs, mask.shape, fill=255, transform=place, dtype="uint8")
    np.testing.assert_array_equal(burnt, mask)
    drawn = shapes(mask, mask=mask != 255, connectivity=4, transform=place)
    expected = [(value, shapely.geometry.shape(each).area) for each, value in drawn]
    assert areas([(class_id, each.area) for each, class_id in pairs]) == areas(expected)


@pytest.mark.parametrize("crf", [None, CRF], ids=["network", "crf"])
def test_the_part_is_cut_out_before_it_is_sieved_and_drawn(
    scene: tuple[Path, Path], tmp_path: Path, crf: dict[str, Any] | None
) -> None:
    run(scene, tmp_path / "whole", crf=crf)
    whole = job_runs.read_mask(tmp_path / "whole")
    part = cut(whole, scene, FIELDS)
    expected = by_hand(part, LEAST_PX)
    # Pieces that the edge makes small go to what is inside, and large ones outside take nothing.
    assert (expected != cut(by_hand(whole, LEAST_PX), scene, FIELDS)).any()
    settings = {"aoi": wkt(scene, FIELDS), "crf": crf, "cleanup": {"sieve_px": LEAST_PX}}
    result = run(scene, tmp_path / "part", vectors=VECTORS, **settings)
    np.testing.assert_array_equal(job_runs.read_mask(tmp_path / "part"), expected)
    same_polygons(tmp_path / "part/polygons.gpkg", expected, scene)
    assert sum(result.class_px.values()) == np.count_nonzero(part != 255)


def test_only_tiles_of_the_area_are_sieved_and_drawn(
    scene: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {"crf": CRF, "cleanup": {"sieve_px": LEAST_PX}, "vectors": VECTORS}
    plan = make_plan(make_job(job(scene, tmp_path, aoi=wkt(scene, FIELDS), **settings)))
    cores = {tile: plan.tiles.core(tile) for tile in plan.tiles.tiles()}
    inside = cut(np.zeros((300, 400), np.uint8), scene, FIELDS) == 0
    expected = [tile for tile, core in cores.items() if inside[core.slices].any()]
    assert {tile.col for tile in expected if tile.row == 1} == {0, 1, 3, 4}
    for stage in plan.after_mask:
        assert list(plan.selected(stage)) == expected
    assert len(plan.selected("refine")) < len(plan.mask_grid)


def test_another_area_of_a_kept_workspace(scene: tuple[Path, Path], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"crf": CRF, "cleanup": {"sieve_px": LEAST_PX}, "vectors": VECTORS}
    settings |= {"keep_workspace": True, "overwrite": True}
    first, second = wkt(scene, FIELDS), wkt(scene, SHIFTED)
    begun = run(scene, tmp_path / "a", aoi=first, **settings)
    moved = run(scene, tmp_path / "a", aoi=second, **settings)
    assert 0 <= moved.tiles_done["predict"] < begun.tiles_done["predict"]
    for stage in ("refine", "components", "sieve", "vectorise"):
        assert moved.tiles_done[stage] == moved.tiles[stage] > 0
    run(scene, tmp_path / "b", aoi=second, **settings)
    assert job_runs.sha(tmp_path / "a/mask.tif") == job_runs.sha(tmp_path / "b/mask.tif")
    same_polygons(tmp_path / "a/polygons.gpkg", job_runs.read_mask(tmp_path / "b"), scene)
    simpler = run(scene, tmp_path / "a", aoi=second, **settings | {"vectors": {"simplify_m": 1}})
    done = {stage: count for stage, count in simpler.tiles_done.items() if count}
    assert done == {"vectorise": moved.tiles["vectorise"]}
