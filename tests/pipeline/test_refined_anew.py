"""A finished, kept workspace is refined with other settings: inference is not repeated."""

from pathlib import Path
from typing import Any

import pytest

from segtasks.config.job import make_job
from segtasks.errors import DestinationError, WorkspaceError
from segtasks.pipeline.run import Result, segment
from tests.helpers import job_runs

FIRST = {"bi_xy_std": 8, "window_px": 64}
SECOND = {"bi_xy_std": 5, "bi_w": 9, "iterations": 2, "window_px": 128}
TILING = {"tile_px": 128, "patch_px": 128, "overlap_px": 0}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("anew")
    photo = job_runs.write_photo(folder / "photo.tif", 100, 200)
    return photo, job_runs.write_network(folder / "m.safetensors", "linear", width=1)


def run(scene: tuple[Path, Path], to: Path, crf: dict[str, Any], **settings: object) -> Result:
    paths = {"source": str(scene[0]), "model": str(scene[1]), "to": str(to)}
    fixed = {"tiling": TILING, "compute": {"kind": "inline"}, "keep_workspace": True}
    return segment(make_job({**paths, **fixed, "crf": crf, **settings}))


def test_only_refine_is_done_again(scene: tuple[Path, Path], tmp_path: Path) -> None:
    first = run(scene, tmp_path / "a", FIRST)
    assert first.tiles_done == {"ingest": 2, "predict": 2, "refine": 8}
    masks = {"first": job_runs.sha(tmp_path / "a/mask.tif")}
    # Other settings, other windows.
    again = run(scene, tmp_path / "a", SECOND, overwrite=True)
    assert again.tiles_done == {"ingest": 0, "predict": 0, "refine": 2}
    masks["second"] = job_runs.sha(tmp_path / "a/mask.tif")
    assert masks["first"] != masks["second"]
    run(scene, tmp_path / "b", SECOND)
    assert job_runs.sha(tmp_path / "b/mask.tif") == masks["second"]
    # Back again: nothing of the second remains.
    back = run(scene, tmp_path / "a", FIRST, overwrite=True)
    assert back.tiles_done == {"ingest": 0, "predict": 0, "refine": 8}
    assert job_runs.sha(tmp_path / "a/mask.tif") == masks["first"]


def test_another_destination_reads_the_same_workspace(
    scene: tuple[Path, Path], tmp_path: Path
) -> None:
    workspace = str(tmp_path / "work")
    run(scene, tmp_path / "a", FIRST, workspace=workspace)
    with pytest.raises(DestinationError, match="made by another job"):
        run(scene, tmp_path / "a", SECOND, workspace=workspace)
    again = run(scene, tmp_path / "b", SECOND, workspace=workspace)
    assert again.tiles_done == {"ingest": 0, "predict": 0, "refine": 2}
    assert (tmp_path / "a/mask.tif").exists()


def test_settings_of_inference_refuse_to_mix(scene: tuple[Path, Path], tmp_path: Path) -> None:
    run(scene, tmp_path, FIRST)
    with pytest.raises(WorkspaceError, match="differs from predict on"):
        run(scene, tmp_path, SECOND, overwrite=True, inference={"angles": "mirror"})


def test_killed_between_two_settings_it_is_refined_anew(
    scene: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(scene, tmp_path, FIRST)
    first = job_runs.sha(tmp_path / "mask.tif")
    with monkeypatch.context() as patched:
        patched.setattr("segtasks.storage.receipts.forget", killed)
        with pytest.raises(KeyboardInterrupt):
            run(scene, tmp_path, SECOND, overwrite=True)
    (tmp_path / "mask.tif").unlink()
    assert run(scene, tmp_path, FIRST).tiles_done == {"ingest": 0, "predict": 0, "refine": 8}
    assert job_runs.sha(tmp_path / "mask.tif") == first


def killed(*_: object) -> None:
    raise KeyboardInterrupt
