"""A tile that cannot be done is recorded; all others are done, and a rerun does just that one."""

from pathlib import Path

import pytest

from segtasks.config.job import make_job
from segtasks.errors import ResourceError, StageError
from segtasks.pipeline.run import segment
from segtasks.storage import receipts
from tests.helpers import job_runs
from tests.helpers.crashing import FATAL
from tests.helpers.paths import ROOT

TILING = {"tile_px": 256, "patch_px": 256, "overlap_px": 128}
CLUSTER = {"kind": "cluster", "cluster_class": "tests.helpers.crashing.cluster"}


def values(tmp_path: Path, **settings: object) -> dict[str, object]:
    photo, model = tmp_path / "photo.tif", tmp_path / "m.safetensors"
    if not photo.exists():
        job_runs.write_photo(photo, 700, 700)
        job_runs.write_network(model, "fcn8s_lean", width=0.05)
    paths = {"source": str(photo), "to": str(tmp_path / "o"), "model": str(model)}
    return {**paths, "crf": None, "tiling": TILING, **settings}


def test_a_tile_that_kills_workers_is_given_up_and_those_beside_it_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    once: dict[str, object] = {"attempts": 1}
    crashing = make_job(values(tmp_path, compute=CLUSTER, limits=once, keep_workspace=True))
    with pytest.raises(StageError, match=r"predict: 1 of 9 .*\(1, 1\).*killed its worker"):
        segment(crashing)
    assert not (tmp_path / "o" / "mask.tif").exists()
    names = {Path(name).name for name in job_runs.receipts(tmp_path / "o")}
    assert f"{FATAL.row}_{FATAL.col}.json" in names  # of ingest
    result = segment(make_job(values(tmp_path, compute={"kind": "inline"})))
    assert result.tiles_done == {"ingest": 0, "predict": 1}


def test_a_truncated_source_names_the_window_and_can_be_resumed(tmp_path: Path) -> None:
    job = make_job(values(tmp_path, compute={"kind": "inline"}))
    photo = tmp_path / "photo.tif"
    whole, stat = photo.read_bytes(), photo.stat()
    photo.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(StageError, match=r"ingest: .* rows \d+-\d+, columns .* cannot be read"):
        segment(job)
    assert not (tmp_path / "o" / "mask.tif").exists()
    assert stat.st_size == len(whole)


def test_memory_that_cannot_fit_is_refused_before_any_tile(tmp_path: Path) -> None:
    limits = {"worker_memory_gib": 0.5}
    job = make_job(values(tmp_path, compute={"kind": "local", "workers": 1}, limits=limits))
    with pytest.raises(ResourceError, match=r"needs .* GiB per worker, a worker has 0\.5 GiB"):
        segment(job)
    assert receipts.done(str(tmp_path / "o" / ".workspace"), "any", "ingest") == set()


def test_no_scheduler_at_the_address(tmp_path: Path) -> None:
    compute = {"kind": "address", "address": "tcp://127.0.0.1:1"}
    with pytest.raises(ResourceError, match="no Dask scheduler answers there"):
        segment(make_job(values(tmp_path, compute=compute)))
