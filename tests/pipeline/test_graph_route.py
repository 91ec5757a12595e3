"""Graphs through the whole route: the same mask as the model file they were made of."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio

from segtasks.config.job import make_job
from segtasks.errors import JobError, ModelError
from segtasks.networks import pretrained
from segtasks.networks.card_file import card_of_model
from segtasks.networks.export import export
from segtasks.networks.model_file import load
from segtasks.pipeline.run import segment
from segtasks.planning.planner import local_model, make_plan
from segtasks.storage import object_store
from tests.helpers import graphs, job_runs
from tests.helpers.rasters import pattern, plain

pytestmark = pytest.mark.usefixtures("probed_here")
TILING = {"tile_px": 256, "patch_px": 384, "overlap_px": 128}
INLINE: dict[str, Any] = {"crf": None, "compute": {"kind": "inline"}}
SUFFIXES = (".onnx", ".pt2", ".pt")


def values(source: Path | str, model: Path | str, to: Path, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 a job's
    return {"source": str(source), "model": str(model), "to": str(to), **INLINE, **settings}


def run(source: Path | str, model: Path | str, to: Path, **settings: Any) -> np.ndarray:  # noqa: ANN401 a job's
    segment(make_job(values(source, model, to, **settings)))
    return job_runs.read_mask(to)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with a hole in it: what stands for nodata counts beside it."""
    from segtasks.training.synthetic import write_scene  # noqa: PLC0415 - one test of many needs it

    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write_scene(path, 11, 600, 700)
    with rasterio.open(path, "r+") as dataset:
        image = dataset.read()
        image[:, 200:260, 300:420] = 0
        dataset.write(image)
        dataset.nodata = 0
    return path


@pytest.fixture(scope="module", params=SUFFIXES)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as a graph."""
    path = tmp_path_factory.mktemp("graph") / f"demo{request.param}"
    export(*load(pretrained.resolve("demo")), str(path))
    return path


def test_a_graph_gives_the_mask_of_its_model_file(demo: Path, scene: Path, tmp_path: Path) -> None:
    expected = run(scene, "demo", tmp_path / "model", tiling=TILING)
    found = run(scene, demo, tmp_path / "graph", tiling=TILING)
    assert (found == expected).mean() >= 0.9999
    assert (expected == 255).any()
    assert len(np.unique(expected)) > 4


def test_a_written_graph_has_its_card_inside_and_is_planned_as_its_model_file(
    demo: Path, scene: Path, tmp_path: Path
) -> None:
    assert [path.name for path in demo.parent.iterdir()] == [demo.name]
    model, graph = (make_plan(make_job(values(scene, m, tmp_path))) for m in ("demo", demo))
    assert graph.patches == model.patches
    assert graph.card.halo_px == model.card.halo_px
    assert graph.card.classes == model.card.classes
    assert graph.card.provenance["exported_from_sha256"] == model.card.weights_sha256
    assert graph.card.weights_sha256 == job_runs.sha(demo)
    assert graph.fingerprints["ingest"] == model.fingerprints["ingest"]
    assert graph.fingerprints["predict"] != model.fingerprints["predict"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_identity_graph_gives_the_image_back(suffix: str, tmp_path: Path) -> None:
    model = graphs.write_identity(tmp_path / f"identity{suffix}")
    raster = plain(tmp_path)
    mask = run(raster.source, model, tmp_path / "o", tiling={"tile_px": 64, "patch_px": 64})
    np.testing.assert_array_equal(mask, pattern()[0])


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("shape", [(20, 30), (97, 130)])
def test_a_graph_of_one_size_gives_the_image_back(
    shape: tuple[int, int], stitch: str, tmp_path: Path
) -> None:
    """The size, 50 px, is no multiple of anything, and larger than some rasters."""
    model = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(), size=(1, 50, 50))
    graphs.state(model)
    raster = plain(tmp_path, shape=shape)
    tiling = {"tile_px": 64, "stitch": stitch}
    mask = run(raster.source, model, tmp_path / "o", tiling=tiling)
    np.testing.assert_array_equal(mask, raster.labels)
    plan = make_plan(make_job(values(raster.source, model, tmp_path / "o", tiling=tiling)))
    assert plan.patches.patch_px == 50


def test_another_patch_than_the_one_a_graph_takes_is_refused(tmp_path: Path) -> None:
    model = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(), size=(1, 64, 64))
    job = values(plain(tmp_path).source, graphs.state(model), tmp_path, tiling={"patch_px": 128})
    with pytest.raises(JobError, match="patch 128 px: n takes 64 px and no other size; leave"):
        make_plan(make_job(job))


def test_a_second_plan_does_not_probe_the_graph_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = graphs.write_identity(tmp_path / "n.onnx")
    job = make_job(values(plain(tmp_path).source, model, tmp_path / "o"))
    first = make_plan(job)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no process can be started"))
    second = make_plan(job)
    assert second.card == first.card
    assert second.fingerprints == first.fingerprints


def test_an_exact_halo_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    model = graphs.write_identity(tmp_path / "n.onnx")
    job = values(plain(tmp_path).source, model, tmp_path, tiling={"overlap_px": "exact"})
    with pytest.raises(JobError, match="an exact halo is needed; n says none"):
        make_plan(make_job(job))


def test_changed_graph_is_not_mixed_with_its_predecessor(tmp_path: Path) -> None:
    prints = []
    for classes in (6, 5):
        model = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(classes))
        graphs.state(model, classes=[f"value {i}" for i in range(classes)])
        job = make_job(values(plain(tmp_path).source, model, tmp_path))
        prints.append(make_plan(job).fingerprints["predict"])
    assert prints[0] != prints[1]


def test_a_sidecar_is_fetched_with_its_graph_and_goes_with_it(tmp_path: Path) -> None:
    url = f"memory://bucket/{tmp_path.name}/n.onnx"
    local = graphs.write_identity(tmp_path / "n.onnx")
    object_store.put_file(local, url)
    with pytest.raises(ModelError, match="does not state its classes and bands"):
        card_of_model(local_model(url))
    object_store.put_file(Path(f"{local}.card.json"), f"{url}.card.json")
    assert card_of_model(local_model(url)).classes[3].name == "value 3"
    object_store.remove_tree(f"{url}.card.json")
    with pytest.raises(ModelError, match="does not state its classes and bands"):
        card_of_model(local_model(url))


def test_deepness_gives_a_written_graph_the_raw_bytes(tmp_path: Path) -> None:
    """As the plugin runs it: bytes / 255, less the mean, by the deviation, by its metadata."""
    module, card = load(pretrained.resolve("demo"))
    path = tmp_path / "n.onnx"
    export(module, card, str(path), patch_px=64)
    metadata = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert metadata["model_type"] == '"Segmentor"'
    assert metadata["tile_size"] == "64"
    names = eval(metadata["class_names"])  # noqa: S307 JSON of strings, as the plugin may read it
    assert [names[str(i)] for i in range(6)] == [entry.name for entry in card.classes]
    mean, std = (eval(metadata[f"standardization_{key}"]) for key in ("mean", "std"))  # noqa: S307 lists
    raw = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64))
    given = (np.float32(raw / 255) - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: given.astype(np.float32)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = probabilities(module, card, raw)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def probabilities(module: Any, card: Any, raw: np.ndarray) -> np.ndarray:  # noqa: ANN401 a model
    import torch  # noqa: PLC0415 - one test of many needs it

    mean, std = (
        np.reshape(v, (3, 1, 1)) for v in (card.normalisation.mean, card.normalisation.std)
    )
    with torch.inference_mode():
        logits = module(torch.from_numpy(((raw - mean) / std).astype(np.float32)))
        found: np.ndarray = logits.softmax(dim=1).numpy()
    return found
