"""One small run with a report, for all tests of its page."""

import pytest

from segtasks.config.job import make_job
from segtasks.pipeline.run import segment
from tests.helpers import job_runs
from tests.helpers.report_run import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Tiles, patches and CRF windows of different sides; nodata at the top; kept."""
    folder = tmp_path_factory.mktemp("report")
    photo = job_runs.write_photo(folder / "a photo.tif", 700, 900, nodata_rows=100)
    model = job_runs.write_network(folder / "m.safetensors", "fcn8s_lean", width=0.05)
    job = make_job(
        {
            "source": str(photo),
            "to": str(folder / "out"),
            "model": str(model),
            "tiling": {"tile_px": 320, "patch_px": 320, "overlap_px": 128},
            "crf": {"bi_xy_std": 10, "window_px": 512},
            "compute": {"kind": "inline"},
            "keep_workspace": True,
        }
    )
    return Run(job, segment(job), folder / "out" / "report.html")
