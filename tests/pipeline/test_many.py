"""A batch without Prefect: an error that nobody foresaw is one image's, not the batch's."""

from pathlib import Path

import pytest

from segtasks.config.batch_job import BatchJob
from segtasks.config.job import Job
from segtasks.errors import StageError
from segtasks.pipeline.batch import Row, counts, find_jobs, require_all, segment_each
from tests.helpers import job_runs


def test_an_unforeseen_error_stops_no_other_image(tmp_path: Path) -> None:
    for name in "abc":
        job_runs.write_photo(tmp_path / f"{name}.tif", 70, 70)

    def segment(job: Job) -> Row:
        if job.source.endswith("b.tif"):
            raise RuntimeError("a library broke")
        return {"status": "done"}

    batch = BatchJob(source=str(tmp_path), to=str(tmp_path / "o"), crf=None)
    rows = list(segment_each(batch, segment))
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert rows[1]["error"] == "RuntimeError: a library broke"
    assert counts(rows) == "2 done, 0 skipped (unchanged), 1 failed"
    with pytest.raises(StageError, match=r"1 of 3 images failed: .*b\.tif; see the table"):
        require_all(rows)


def test_one_raster_is_a_batch_too(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    photo = job_runs.write_photo(tmp_path / "deep" / "a.tif", 70, 70)
    (job,) = find_jobs(BatchJob(source=str(photo), to="out"))
    assert (job.source, job.to) == (str(photo), "out/a")
