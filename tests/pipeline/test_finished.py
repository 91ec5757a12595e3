"""The mask is there, but another result that is asked for is not: made, or refused by name."""

from pathlib import Path
from typing import Any

import pytest

from segtasks.config.job import make_job
from segtasks.errors import DestinationError
from segtasks.pipeline.run import Result, segment
from tests.helpers import job_runs

REST = {
    "item": "item.json",
    "quicklook": "quicklook.png",
    "report": "report.html",
    "polygons": "polygons.gpkg",
}
LEGENDS = ("mask.tif.aux.xml", "mask.qml")


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A job, and all its results with its workspace."""
    values = {
        "source": str(job_runs.write_photo(tmp_path / "photo.tif", 90, 100)),
        "model": str(job_runs.write_network(tmp_path / "m.safetensors", "linear", width=1)),
        "to": str(tmp_path / "o"),
        "tiling": {"tile_px": 64, "patch_px": 64, "overlap_px": 0},
        "compute": {"kind": "inline"},
        "crf": None,
        "vectors": {"format": "gpkg"},
        "keep_workspace": True,
    }
    assert run(values).status == "done"
    return values


def run(values: dict[str, Any], **more: object) -> Result:
    return segment(make_job({**values, **more}))


def test_a_result_that_is_gone_is_named_and_made_again_when_told(
    job: dict[str, Any], tmp_path: Path
) -> None:
    mask = job_runs.sha(tmp_path / "o" / "mask.tif")
    for name, file in REST.items():
        (tmp_path / "o" / file).unlink()
        with pytest.raises(DestinationError, match=rf"{file}: is not there, .* give --overwrite"):
            run(job)
        assert not (tmp_path / "o" / file).exists()
        again = run(job, overwrite=True)
        assert again.status == "done"
        assert set(again.tiles_done.values()) == {0}  # the workspace was kept
        assert Path(again.urls[name]).exists()
        assert run(job).status == "was done already"
    assert job_runs.sha(tmp_path / "o" / "mask.tif") == mask


def test_a_report_that_was_not_asked_for_before(job: dict[str, Any], tmp_path: Path) -> None:
    without = {"outputs": {"report": False}, "to": str(tmp_path / "bare")}
    run(job, **without)
    with pytest.raises(DestinationError, match=r"bare/report\.html: is not there"):
        run(job, to=without["to"])
    assert run(job, **without).status == "was done already"


def test_legends_that_are_gone_are_made_of_the_classes(job: dict[str, Any], tmp_path: Path) -> None:
    before = {name: job_runs.sha(tmp_path / "o" / name) for name in LEGENDS}
    for name in LEGENDS:
        (tmp_path / "o" / name).unlink()
    assert run(job).status == "was done already"
    assert before == {name: job_runs.sha(tmp_path / "o" / name) for name in LEGENDS}
