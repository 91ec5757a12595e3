"""The CRF in a job: presets, halo, windows, and which backend auto stands for."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from segtasks.cli.model_options import merged, nested
from segtasks.config.job import Job, make_job
from segtasks.crf.backends import BACKENDS
from segtasks.errors import CrfError, JobError
from segtasks.pipeline.executors import resources
from segtasks.pipeline.workspace_setup import prepare_workspace
from segtasks.planning import cost, summary
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from tests.helpers import job_runs


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("windows") / "photo.tif", 300, 400)


def empty(path: Path, side: int) -> Path:
    """A raster of so many pixels and none of their bytes."""
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": side, "width": side}
    with rasterio.open(path, "w", tiled=True, sparse_ok=True, **profile):
        pass
    return path


def backend_of(plan: Plan) -> str | None:
    return plan.crf.backend if plan.crf else None


def planned(source: Path, to: Path, crf: dict[str, Any], **settings: object) -> Plan:
    return make_plan(make_job({"source": str(source), "to": str(to), "crf": crf, **settings}))


def crf_of(values: dict[str, Any]) -> Any:  # noqa: ANN401 - a Crf, of which any field may be asked
    return make_job({"source": "a.tif", "to": "o", "crf": values}).crf


def test_single_fields_win_over_the_preset() -> None:
    crf = crf_of({"preset": "deeplab", "bi_xy_std": 25})
    assert (crf.iterations, crf.pos_xy_std, crf.bi_xy_std, crf.bi_rgb_std) == (10, 1, 25, 3)
    assert crf_of({}) == crf_of({"preset": "aerial"})


def test_a_preset_on_the_command_line_fills_what_the_file_leaves_open() -> None:
    given = nested(Job, {"crf_preset": "kraehenbuehl", "crf_bi_w": "7"})
    values = merged(Job, {"source": "a", "to": "o", "crf": {"bi_rgb_std": 20}}, given)
    crf = make_job(values).crf
    assert crf is not None
    assert (crf.bi_w, crf.bi_rgb_std, crf.bi_xy_std) == (7, 20, 80)


def test_a_job_survives_being_written_and_read() -> None:
    crf = crf_of({"preset": "deeplab", "compatibility": [[0, 1], [1, 0]], "bi_w": 2})
    assert crf_of(crf.model_dump(mode="json")) == crf


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"preset": "voc"}, "crf.preset: .*'kraehenbuehl', 'deeplab' or 'aerial'"),
        ({"preset": ["voc"]}, "crf.preset: "),
        ({"backend": "exact"}, "crf.backend: .*'pydensecrf' or 'torch'"),
        ({"halo_px": "loose"}, "crf.halo_px: "),
        ({"compatibility": [[0, 1], [2, 0]]}, "crf.compatibility: is not symmetric"),
        ({"compatibility": [[0, 1]]}, r"crf.compatibility: rows of \[2\] values; give K rows"),
        ({"compatibility": [[0, math.nan], [math.nan, 0]]}, "crf.compatibility.*got nan"),
    ],
)
def test_a_wrong_setting_is_one_line(values: dict[str, Any], match: str) -> None:
    with pytest.raises(JobError, match=match):
        crf_of(values)


def test_a_compatibility_of_other_classes_than_the_models_is_refused(
    photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=r"crf\.compatibility is 2 x 2, there are 6 classes"):
        planned(photo, tmp_path, {"compatibility": [[0, 1], [1, 0]]})


@pytest.mark.parametrize(
    ("values", "halo_px"),
    [({}, 120), ({"halo_px": "strict"}, 180), ({"halo_px": 7}, 7), ({"preset": "deeplab"}, 335)],
)
def test_halo_follows_from_reach_and_iterations(
    photo: Path, tmp_path: Path, values: dict[str, Any], halo_px: int
) -> None:
    plan = planned(photo, tmp_path, values)
    assert plan.crf is not None
    assert plan.crf.halo_px == summary.figures(plan)["crf_halo_px"] == halo_px


@pytest.mark.parametrize("values", [{}, {"preset": "deeplab"}, {"bi_xy_std": 60}])
def test_windows_waste_less_than_half_where_memory_allows(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    source = empty(tmp_path / "big.tif", 40_000)
    limits = {"worker_memory_gib": 64}
    figures = summary.figures(planned(source, tmp_path / "o", values, limits=limits))
    assert 1 < figures["crf_px_per_px"] < 1.5
    line = next(line for line in summary.lines(planned(source, tmp_path, values)) if "halo" in line)
    assert "px filtered per px" in line


def test_windows_shrink_to_the_memory_of_a_worker(tmp_path: Path) -> None:
    source = empty(tmp_path / "big.tif", 40_000)
    for gib in (2, 4, 8):
        limits = {"worker_memory_gib": gib}
        plan = planned(source, tmp_path / "o", {"preset": "deeplab"}, limits=limits)
        assert cost.plan_cost(plan).worker_bytes["refine"] <= gib * 2**30
        assert plan.mask_grid.core_px % 512 == 0


def test_windows_do_not_depend_on_the_machine(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: pytest.fail("asked the machine"))
    assert planned(photo, tmp_path, {}).mask_grid.core_px == 2048


def test_the_same_settings_however_given_are_the_same_job(photo: Path, tmp_path: Path) -> None:
    explicit = {"iterations": 5, "bi_xy_std": 30, "window_px": 2048, "halo_px": 120}
    jobs = [planned(photo, tmp_path, values) for values in ({}, explicit)]
    assert jobs[0].fingerprints == jobs[1].fingerprints


def test_another_backend_is_another_refinement_and_nothing_else(
    photo: Path, tmp_path: Path
) -> None:
    one, other = (planned(photo, tmp_path, {"backend": b}) for b in ("pydensecrf", "torch"))
    differing = {s for s, value in one.fingerprints.items() if other.fingerprints[s] != value}
    assert differing == {"refine", "mask"}


def test_a_begun_workspace_keeps_what_auto_stood_for(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, BACKENDS["native"], None)
    begun = planned(photo, tmp_path / "o", {})
    assert backend_of(begun) == "pydensecrf"
    prepare_workspace(begun)
    native = type(sys)("native")
    native.marginals = lambda *_: None  # type: ignore[attr-defined] # as if it were built by now
    monkeypatch.setitem(sys.modules, BACKENDS["native"], native)
    assert planned(photo, tmp_path / "o", {}).fingerprints == begun.fingerprints
    assert backend_of(planned(photo, tmp_path / "o", {}, fresh=True)) == "native"
    elsewhere = planned(photo, tmp_path / "p", {})
    assert backend_of(elsewhere) == "native"
    assert elsewhere.fingerprints["refine"] != begun.fingerprints["refine"]
    assert elsewhere.fingerprints["mask"] == begun.fingerprints["mask"]


def test_auto_is_torch_with_compute_gpu_and_asks_for_the_gpu(photo: Path, tmp_path: Path) -> None:
    on_gpu = planned(photo, tmp_path, {}, compute={"kind": "gpu"})
    assert backend_of(on_gpu) == "torch"
    assert resources(on_gpu, "refine") == resources(on_gpu, "predict") == {"GPU": 0.5}
    on_cpu = planned(photo, tmp_path, {"backend": "pydensecrf"}, compute={"kind": "gpu"})
    assert resources(on_cpu, "refine") == resources(on_cpu, "ingest") == {"CPU": 0.5}


def test_a_backend_that_is_not_there_is_refused_by_the_plan(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, BACKENDS["native"], None)
    with pytest.raises(CrfError, match="CRF backend native cannot be loaded"):
        planned(photo, tmp_path, {"backend": "native"})


def test_a_stretch_in_the_wrong_unit_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "twelve.tif"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 3, "height": 300, "width": 300}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.random.default_rng(0).integers(1, 4096, (3, 300, 300), np.uint16))
    plan = planned(path, tmp_path, {}, stretch=[0, 65535])
    assert any("span 6.0 % of it" in warning for warning in plan.warnings)
    fitting = planned(path, tmp_path, {}, stretch=[0, 4095])
    assert not any("span" in warning for warning in fitting.warnings)
