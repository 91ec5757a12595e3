"""Precision and form: measured once per job, reported, kept, and the same for every worker."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from segtasks.config.job import Job, make_job
from segtasks.errors import ModelError
from segtasks.networks.inference import autotune
from segtasks.networks.inference.tuned import TunedInference
from segtasks.pipeline import network_tuning
from segtasks.pipeline.run import Result, segment
from segtasks.pipeline.workspace_setup import prepare_workspace, recall_tuning, remember_tuning
from segtasks.planning.plan import with_tuned
from segtasks.planning.planner import make_plan
from tests.helpers import job_runs

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
TILING = {"tile_px": 256, "patch_px": 256, "overlap_px": 128}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("photo") / "photo.tif", 300, 400)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    job_runs.write_network(path, "fcn8s_lean", width=1 / 32)
    return path


def job(photo: Path, model: Path, to: Path, **inference: str) -> Job:
    values = {"source": str(photo), "model": str(model), "to": str(to), "crf": None}
    compute = {"kind": "inline"}
    return make_job({**values, "tiling": TILING, "compute": compute, "inference": inference})


def mask_of(result: Result) -> tuple[np.ndarray, dict[str, str]]:
    with rasterio.open(result.urls["mask"]) as dataset:
        return dataset.read(1), dataset.tags()


@pytest.fixture(scope="module")
def usual(photo: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return mask_of(segment(job(photo, model, tmp_path_factory.mktemp("usual"))))[0]


def test_another_form_gives_the_same_labels(
    photo: Path, model: Path, usual: np.ndarray, tmp_path: Path
) -> None:
    mask, tags = mask_of(segment(job(photo, model, tmp_path, form="frozen")))
    assert (mask == usual).mean() >= 0.9999
    assert tags["SEGTASKS_NETWORK_RUN"] == "float32 frozen"


def test_what_a_precision_changes_is_measured_and_told(
    photo: Path, model: Path, usual: np.ndarray, tmp_path: Path
) -> None:
    result = segment(job(photo, model, tmp_path, precision="bfloat16"))
    mask, tags = mask_of(result)
    assert tags["SEGTASKS_NETWORK_RUN"] == "bfloat16 packed"
    assert result.network is not None
    assert "bfloat16 packed" in result.network
    told = float(result.network.split(" % of labels")[0].split()[-1]) / 100
    assert 0 < told < 0.2
    assert told / 4 < (mask != usual).mean() < 4 * told


def fast(monkeypatch: pytest.MonkeyPatch, winner: tuple[str, str]) -> None:
    """A clock for which one way is twice as fast as all others."""
    monkeypatch.setattr(autotune, "timed", lambda nets, _: {w: 1 + (w != winner) for w in nets})


def test_auto_does_not_take_a_precision_that_changes_many_labels(
    photo: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast(monkeypatch, ("bfloat16", "packed"))
    found = network_tuning.tune_network(make_plan(job(photo, model, tmp_path, precision="auto")))
    assert found.differing["bfloat16 packed"] > autotune.MAX_CHANGED
    assert found.precision == "float32"


def test_auto_takes_the_fastest_that_changes_few(
    photo: Path, identity_model_of_3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast(monkeypatch, ("bfloat16", "plain"))
    plan = make_plan(job(photo, Path(identity_model_of_3), tmp_path, precision="auto", form="auto"))
    found = network_tuning.tune_network(plan)
    assert (found.precision, found.form) == ("bfloat16", "plain")


def test_a_little_faster_is_not_enough(
    photo: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual_way = ("float32", "packed")
    monkeypatch.setattr(
        autotune, "timed", lambda nets, _: {w: 1.0 if w == usual_way else 0.97 for w in nets}
    )
    found = network_tuning.tune_network(make_plan(job(photo, model, tmp_path, form="auto")))
    assert found.form == "packed"


def test_what_was_settled_is_kept_for_the_restart(
    photo: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = job(photo, model, tmp_path, form="auto")
    plan = make_plan(asked)
    prepare_workspace(plan)
    seconds = {"float32 packed": 2.0, "float32 frozen": 1.0}
    differing = dict.fromkeys(seconds, 0.0)
    known = TunedInference(form="frozen", samples=1, seconds=seconds, differing=differing)
    kept = remember_tuning(plan, known)
    assert recall_tuning(make_plan(asked)) == kept
    monkeypatch.setattr(network_tuning, "tune_network", lambda _: pytest.fail("measured again"))
    result = segment(asked)
    assert mask_of(result)[1]["SEGTASKS_NETWORK_RUN"] == "float32 frozen"


def test_forwards_made_in_another_way_are_not_taken_for_its_own(
    photo: Path, model: Path, tmp_path: Path
) -> None:
    plan = make_plan(job(photo, model, tmp_path, form="auto"))
    ways = [
        with_tuned(plan, TunedInference(form=form)).fingerprints for form in ("frozen", "packed")
    ]
    assert ways[0]["predict"] != ways[1]["predict"]
    assert ways[0]["ingest"] == ways[1]["ingest"]
    # The same job is the same job, however it was run.
    assert ways[0]["mask"] == ways[1]["mask"]


def test_tf32_without_a_gpu_is_refused(photo: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tf32 is available on CUDA only; choose float32"):
        segment(job(photo, model, tmp_path, precision="tf32"))
