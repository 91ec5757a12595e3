"""Signed urls: their secret is in nothing that a run shows or writes, nor in what it depends on."""

import json
import subprocess
import tempfile
from pathlib import Path

import pytest

from segtasks.config.batch_job import BatchJob
from segtasks.config.job import make_job
from segtasks.errors import SourceError
from segtasks.orchestration.segment_run import named
from segtasks.pipeline.batch import find_jobs
from segtasks.planning.planner import make_plan
from segtasks.storage import object_store
from segtasks.storage.local_copy import local_copy
from tests.helpers import job_runs
from tests.helpers.swift_server import ObjectStore

SECRET = "hushhush"
TILING = ("--tile-px", "64", "--patch-px", "64", "--overlap-px", "0", "--no-crf")


def signed(url: str, secret: str = SECRET) -> str:
    return f"{url}?X-Amz-Expires=60&X-Amz-Signature={secret}"


@pytest.fixture
def store(s3: ObjectStore, tmp_path: Path) -> str:
    """Url of a prefix with ``photo.tif`` and ``m.safetensors``, read by plain http."""
    photo = job_runs.write_photo(tmp_path / "photo.tif", 100, 120)
    model = job_runs.write_network(tmp_path / "m.safetensors", "linear", width=1)
    for path in (photo, model):
        object_store.put_file(path, f"{s3.url}/in/{path.name}")
        path.unlink()
    s3.let_all_read()
    return f"{s3.public_url}/in"


def segtasks(
    verb: str, store: str, to: Path, secret: str = SECRET, *more: str
) -> subprocess.CompletedProcess[str]:
    source, model = signed(f"{store}/photo.tif", secret), signed(f"{store}/m.safetensors", secret)
    words = job_runs.command(Path(), to, Path(), *TILING, "--compute", "inline", *more)
    words[words.index("run") : words.index("--json")] = [
        *(verb, source, "--to", str(to), "--model", model)
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def require_secret_in_none(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert SECRET not in str(path)
        assert SECRET.encode() not in path.read_bytes(), path


def test_the_secret_of_source_and_model_is_shown_and_written_nowhere(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    to = tmp_path / "out"
    plan = segtasks("plan", store, to)
    done = segtasks("run", store, to, SECRET, "--probabilities", "--keep-workspace")
    told = f"{plan.stdout}{plan.stderr}{done.stdout}{done.stderr}"
    assert f"{store}/photo.tif" in told
    assert SECRET not in told
    assert {".workspace", "report.html", "item.json"} <= {path.name for path in to.iterdir()}
    require_secret_in_none(to)
    require_secret_in_none(tmp_path / "scratch")  # the model's local copy


def test_signed_anew_it_is_the_same_job(store: str, tmp_path: Path) -> None:
    segtasks("run", store, tmp_path, "first", "--keep-workspace")
    (tmp_path / "mask.tif").unlink()
    again = json.loads(segtasks("run", store, tmp_path, "second", "--keep-workspace").stdout)
    assert (again["status"], again["tiles_done"]) == ("done", {"ingest": 0, "predict": 0})


def test_what_cannot_be_read_does_not_tell_the_secret(store: str, tmp_path: Path) -> None:
    job = make_job({"source": signed(f"{store}/absent.tif"), "to": str(tmp_path)})
    with pytest.raises(SourceError, match=r"absent\.tif: cannot be opened") as error:
        make_plan(job)
    assert SECRET not in str(error.value)


def test_a_batch_of_signed_urls_has_folders_without_them(tmp_path: Path) -> None:
    urls = [signed(f"https://host/{name}/a.tif", "x/y.z") for name in ("north", "south")]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    found = find_jobs(BatchJob(source=str(tmp_path / "list.txt"), to="out"))
    assert [(job.source, job.to) for job in found] == list(
        zip(urls, ("out/north/a", "out/south/a"), strict=True)
    )


def test_the_local_copy_has_the_name_of_the_object(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert local_copy(signed(f"{store}/m.safetensors")).name == "m.safetensors"


def test_the_name_of_a_run() -> None:
    job = {"source": signed("https://host/a.tif"), "model": signed("https://host/m.onnx")}
    assert named("segment", job) == "segment a.tif with m"
