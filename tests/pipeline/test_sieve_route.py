"""The sieve as stages of the route: same bytes for any tiles, other settings, after a kill."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.features import sieve

from segtasks.config.job import make_job
from segtasks.errors import JobError, StageError
from segtasks.pipeline.run import Result, segment
from segtasks.planning.planner import make_plan
from segtasks.storage import tile_tables
from tests.helpers import job_runs

TILING = {"patch_px": 128, "overlap_px": 0}
CRF = {"bi_xy_std": 5, "window_px": 128}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sieve")
    photo = job_runs.write_photo(folder / "photo.tif", 300, 400, nodata_rows=40)
    return photo, job_runs.write_network(folder / "m.safetensors", "linear", width=1)


def run(
    scene: tuple[Path, Path], to: Path, tile_px: int = 128, kind: str = "inline", **more: object
) -> Result:
    base: dict[str, Any] = {"source": str(scene[0]), "model": str(scene[1]), "to": str(to)}
    base |= {"tiling": {**TILING, "tile_px": tile_px}, "crf": None, "keep_workspace": True}
    base |= {"compute": {"kind": kind, "workers": 2}}
    return segment(make_job(base | more))


def test_the_mask_is_gdals_sieve_in_any_tiles(scene: tuple[Path, Path], tmp_path: Path) -> None:
    run(scene, tmp_path / "plain")
    plain = job_runs.read_mask(tmp_path / "plain")
    hashes = set()
    for tile_px, kind in ((64, "inline"), (192, "local")):
        to = tmp_path / str(tile_px)
        result = run(scene, to, tile_px, kind, cleanup={"sieve_px": 30})
        hashes.add(job_runs.sha(to / "mask.tif"))
        assert result.tiles_done["sieve"] == result.tiles["components"]
        assert sum(result.class_px.values()) == 260 * 400
    assert len(hashes) == 1
    mask = job_runs.read_mask(to)
    np.testing.assert_array_equal(mask, sieve(plain, 30, mask=plain != 255))
    assert (mask != plain).any()


def test_another_unit_needs_no_inference(scene: tuple[Path, Path], tmp_path: Path) -> None:
    first = run(scene, tmp_path / "a", crf=CRF, cleanup={"sieve_px": 30})
    assert first.tiles_done["refine"] == 12
    other = {"sieve_px": 60, "connectedness": 8}
    again = run(scene, tmp_path / "a", crf=CRF, cleanup=other, overwrite=True)
    kept = {"ingest": 0, "predict": 0, "refine": 0}
    assert again.tiles_done == {**kept, "components": 12, "sieve": 12}
    run(scene, tmp_path / "b", crf=CRF, cleanup=other)
    assert job_runs.sha(tmp_path / "a/mask.tif") == job_runs.sha(tmp_path / "b/mask.tif")
    none = run(scene, tmp_path / "a", crf=CRF, overwrite=True)
    assert none.tiles_done == kept
    run(scene, tmp_path / "c", crf=CRF)
    assert job_runs.sha(tmp_path / "a/mask.tif") == job_runs.sha(tmp_path / "c/mask.tif")


def test_killed_while_settling(
    scene: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tile_tables.write

    def killed(url: str, fingerprint: str, tile: Any, table: Any) -> None:  # noqa: ANN401
        if "fates" in table and tile == (1, 1):
            raise OSError("killed")
        real(url, fingerprint, tile, table)

    run(scene, tmp_path / "whole", cleanup={"sieve_px": 30})
    with monkeypatch.context() as patched:
        patched.setattr(tile_tables, "write", killed)
        with pytest.raises(StageError, match=r"sieve: .* tiles failed.*killed"):
            run(scene, tmp_path / "o", cleanup={"sieve_px": 30})
    again = run(scene, tmp_path / "o", cleanup={"sieve_px": 30})
    assert again.tiles_done["components"] == 0
    assert job_runs.sha(tmp_path / "o/mask.tif") == job_runs.sha(tmp_path / "whole/mask.tif")


def test_square_metres_are_rounded_up_to_pixels(scene: tuple[Path, Path], tmp_path: Path) -> None:
    """A pixel is 0.3 m a side on the map, and 0.09 m² on the ground but for UTM's 0.1 %."""
    base = {"source": str(scene[0]), "model": str(scene[1]), "to": str(tmp_path)}
    plans = [make_plan(make_job({**base, "cleanup": {"sieve_m2": m2}})) for m2 in (0.95, 9, 1e12)]
    assert [plan.sieve_px for plan in plans] == [11, 100, 10**9]
    assert plans[0].fingerprints["mask"] != plans[1].fingerprints["mask"]


def test_refusals(scene: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"^cleanup: sieve_px is 3 and sieve_m2 is 4.0; give one of"):
        run(scene, tmp_path, cleanup={"sieve_px": 3, "sieve_m2": 4})
    with pytest.raises(JobError, match=r"^cleanup: sieve_px is None and .* None; give one of"):
        run(scene, tmp_path, cleanup={"connectedness": 8})
    bare = tmp_path / "bare.tif"
    with (
        rasterio.open(scene[0]) as photo,
        rasterio.open(
            bare, "w", driver="GTiff", dtype="uint8", count=3, height=300, width=400
        ) as dataset,
    ):
        dataset.write(photo.read())
    with pytest.raises(JobError, match=r"sieve_m2 4: .*bare.tif does not say where .* sieve_px"):
        run((bare, scene[1]), tmp_path, cleanup={"sieve_m2": 4})
