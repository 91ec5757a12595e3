"""Test foreign graphs: required statements, measured fields, outputs, and refusals."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks import Card, card_of_model, read_card
from segtasks.networks.graphs import graph_card, probe_cache
from segtasks.networks.graphs.graph_card import probe_card
from segtasks.networks.inference.model_cache import graph_net
from segtasks.networks.inference.runtime import Net, forward_patches, forward_probabilities
from segtasks.networks.model_file import load
from tests.helpers import graphs

FORMS = (".onnx", ".pt", ".pt2")
RNG = np.random.default_rng(0)


pytestmark = pytest.mark.usefixtures("probed_here")


def refused(path: Path) -> str:
    """Return the one-line error of a graph that cannot be used."""
    with pytest.raises(ModelError) as caught:
        card_of_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def opened(path: Path, batch: int = 1) -> tuple[Net, Card]:
    card = card_of_model(path)
    assert card.graph is not None
    return graph_net(str(path), card.weights_sha256, card.graph, batch), card


@pytest.fixture
def random_conv() -> tuple[graphs.Floats, graphs.Floats]:
    """Return a random 5x5 convolution of one band to six classes."""
    rng = np.random.default_rng(1)
    weight = (rng.standard_normal((6, 1, 5, 5)) / 100).astype(np.float32)
    return weight, rng.standard_normal(6).astype(np.float32)


@pytest.mark.parametrize("suffix", FORMS)
def test_a_card_is_found_by_trying(suffix: str, tmp_path: Path) -> None:
    card = card_of_model(graphs.write_identity(tmp_path / f"net{suffix}"))
    assert card.graph is not None
    assert (card.graph.gives, card.graph.patch_px, card.graph.least_px) == ("logits", None, 1)
    assert (card.output_stride, card.lattice_px, card.graph.multiple_px) == (1, 1, 1)
    assert not card.graph.one_by_one
    assert (card.halo_px, card.receptive_field_px) == (None, None)
    assert (card.network, card.licence) == ("net", "unknown")
    assert [entry.name for entry in card.classes] == graphs.STATED["classes"]


@pytest.mark.parametrize("suffix", FORMS)
def test_each_patch_gets_the_same_bytes_in_every_company(
    suffix: str, tmp_path: Path, random_conv: tuple[graphs.Floats, graphs.Floats]
) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".onnx":
        graphs.write_onnx(path, *random_conv)
    else:
        graphs.WRITERS[suffix](path, graphs.Conv(*random_conv))
    net, _ = opened(graphs.state(path), batch=4)
    patches = RNG.standard_normal((5, 1, 33, 47)).astype(np.float32)
    together = forward_patches(net, patches)
    alone = [forward_patches(net, patch[None])[0] for patch in patches]
    assert together.tobytes() == np.stack(alone).tobytes()
    with torch.inference_mode():
        expected = graphs.Conv(*random_conv)(torch.from_numpy(patches)).numpy()
    np.testing.assert_allclose(together, expected, atol=1e-5)


# operators behind the convolution, what it gives
ENDS = [
    ([], "logits"),
    (["Softmax"], "probabilities"),
    (["Sigmoid"], "logits"),  # in 0...1, but they do not add up to 1
    (["Softmax", "Relu"], "probabilities"),
]


@pytest.mark.parametrize(("then", "gives"), ENDS)
def test_probabilities_are_told_from_logits_and_softmax_is_taken_once(
    then: list[str], gives: str, tmp_path: Path, random_conv: tuple[graphs.Floats, graphs.Floats]
) -> None:
    net, card = opened(
        graphs.state(graphs.write_onnx(tmp_path / "n.onnx", *random_conv, then=then))
    )
    assert card.graph is not None
    assert card.graph.gives == gives
    patches = RNG.standard_normal((1, 1, 20, 30)).astype(np.float32)
    with torch.inference_mode():
        logits = graphs.Conv(*random_conv)(torch.from_numpy(patches))
        expected = (logits.sigmoid() if "Sigmoid" in then else logits).softmax(dim=1).numpy()
    np.testing.assert_allclose(forward_probabilities(net, patches), expected, atol=1e-6)


@pytest.mark.parametrize("then", [[], ["Sigmoid"]])
def test_one_map_is_two_classes(then: list[str], tmp_path: Path) -> None:
    weight, bias = np.full((1, 1, 1, 1), 0.02, np.float32), np.full(1, -2.5, np.float32)
    path = graphs.write_onnx(tmp_path / "n.onnx", weight, bias, then=then)
    net, _ = opened(graphs.state(path, classes=["ground", "roof"]))
    patch = RNG.uniform(0, 255, (1, 1, 9, 9)).astype(np.float32)
    roof = 1 / (1 + np.exp(2.5 - 0.02 * patch[:, 0]))
    expected = np.stack((1 - roof, roof), axis=1)
    np.testing.assert_allclose(forward_probabilities(net, patch), expected, atol=1e-6)


def test_a_fixed_size_is_found_and_smaller_patches_are_filled_up(tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(), size=(1, 64, 64))
    net, card = opened(graphs.state(path))
    assert card.graph is not None
    assert (card.graph.patch_px, card.graph.one_by_one) == (64, True)
    patch = RNG.integers(0, 6, (2, 1, 20, 64)).astype(np.float32)
    np.testing.assert_array_equal(forward_patches(net, patch).argmax(1), patch[:, 0])


class Baked(nn.Module):
    """Traced graphs often have the size of their example in them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = graphs.Conv(*graphs.identity())

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of 512 px for any input."""
        y: Tensor = nn.functional.interpolate(self.conv(x), size=(512, 512))
        return y


def test_a_size_that_only_running_shows_is_found(tmp_path: Path) -> None:
    path = graphs.write_torchscript(tmp_path / "n.pt", Baked())
    card = card_of_model(graphs.state(path))
    assert card.graph is not None
    assert card.graph.patch_px == 512


def test_a_coarse_map_is_upsampled_half_pixel(
    tmp_path: Path, random_conv: tuple[graphs.Floats, graphs.Floats]
) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *random_conv, stride=4)
    net, card = opened(graphs.state(path))
    assert card.graph is not None
    assert (card.output_stride, card.lattice_px, card.graph.multiple_px) == (4, 4, 4)
    patch = RNG.standard_normal((1, 1, 30, 41)).astype(np.float32)
    padded = torch.zeros(1, 1, 32, 44)
    padded[:, :, :30, :41] = torch.from_numpy(patch)
    with torch.inference_mode():
        coarse = graphs.Conv(*random_conv, stride=4)(padded)
    fine = nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(forward_patches(net, patch), fine[:, :, :30, :41], atol=1e-5)


def test_what_is_missing_is_filled_with_what_stands_for_nodata(tmp_path: Path) -> None:
    weight = np.full((2, 1, 3, 3), 1, np.float32)
    path = graphs.write_onnx(tmp_path / "n.onnx", weight, np.zeros(2, np.float32), size=(1, 8, 8))
    graphs.state(path, classes=["a", "b"], graph={"fill": [7.0]})
    net, _ = opened(path)
    inner = forward_patches(net, np.zeros((1, 1, 8, 5), np.float32))
    assert inner[0, 0, 4].tolist() == [0, 0, 0, 0, 21]  # one column of three sevens is seen


class Blocks(nn.Module):
    """Means of 8x8 blocks, twice: their borders lie on multiples of 8."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) -> logits (N, 2, H, W)."""
        y = nn.functional.avg_pool2d(x, 8)
        y = nn.functional.interpolate(y, scale_factor=8.0)
        return torch.cat((y, 255 - y), dim=1)


def test_the_lattice_is_found_by_shifting(tmp_path: Path) -> None:
    path = graphs.write_torchscript(tmp_path / "n.pt", Blocks())
    card = card_of_model(graphs.state(path, classes=["dark", "light"]))
    assert card.graph is not None
    assert (card.lattice_px, card.output_stride, card.graph.multiple_px) == (8, 1, 8)


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
def test_the_effective_halo_of_a_mean_is_known(suffix: str, tmp_path: Path) -> None:
    """Measure by gradients and by changes: 17x17 equal weights reach 8 px."""
    weight = np.full((2, 1, 17, 17), 1 / 289, np.float32)
    weight[1] *= -1
    path, bias = tmp_path / f"n{suffix}", np.zeros(2, np.float32)
    if suffix == ".onnx":
        graphs.write_onnx(path, weight, bias)
    else:
        graphs.write_torchscript(path, graphs.Conv(weight, bias))
    assert card_of_model(graphs.state(path, classes=["a", "b"])).effective_halo_px == 8


def test_what_a_graph_cannot_show_is_asked_for_by_name(tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity())
    line = refused(path)
    assert f"does not state its classes and bands and normalisation; write {path}.card.json" in line
    graphs.state(path, classes=None)
    line = refused(path)
    assert "does not state its classes; write" in line
    assert '"classes": ["ground", ...]' in line
    assert "bands" not in line


# what is wrong with the sidecar, what is said
STATEMENTS: list[tuple[dict[str, Any], str]] = [
    (
        {"bands": ["a", "b"], "normalisation": {"mean": [0, 0], "std": [1, 1]}},
        "takes 1 bands, its card names 2 (a, b); name them all",
    ),
    ({"bands": ["a", "b"]}, "its card: 2 bands, but normalisation has 1 means and 1 stds"),
    (
        {"classes": [{"id": i, "name": "a", "color": "#000000"} for i in range(1, 7)]},
        "card field classes: class ids are [1, 2, 3, 4, 5, 6]; number them 0 … 5 in order",
    ),
    ({"classes": ["a", "b", "c"]}, "gives 6 maps, its card names 3 classes; name them all"),
    ({"normalisation": {"mean": [0], "std": [0]}}, "card field normalisation.std.0: "),
    ({"licens": "MIT"}, "card field licens: Extra inputs are not permitted"),
    ({"graph": []}, "not a card; write an object"),
]


@pytest.mark.parametrize(("fields", "says"), STATEMENTS)
def test_a_wrong_statement_is_refused(fields: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity())
    assert says in refused(graphs.state(path, **fields))


def test_a_sidecar_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity())
    Path(f"{path}.card.json").write_text("{classes: 3}")
    assert "n.onnx.card.json: not JSON" in refused(path)


def test_a_wrong_number_of_bands_is_seen_by_running_too(tmp_path: Path) -> None:
    path = graphs.write_torchscript(tmp_path / "n.pt", graphs.Conv(*graphs.identity()))
    normalisation = {"mean": [0, 0], "std": [1, 1]}
    line = refused(graphs.state(path, bands=["a", "b"], normalisation=normalisation))
    assert "does not take 2 bands (a, b) at any of the sides tried" in line
    assert "expected input[1, 2, 256, 256] to have 1 channels" in line


@pytest.mark.parametrize("then", [["Neg", "Log"], ["Neg", "Sqrt"]])
def test_values_that_are_not_finite_are_refused(then: list[str], tmp_path: Path) -> None:
    weight, bias = np.ones((6, 1, 1, 1), np.float32), np.ones(6, np.float32)
    path = graphs.write_onnx(tmp_path / "n.onnx", weight, bias, then=then)
    assert "gives values that are not finite for noise of uint8" in refused(graphs.state(path))


def test_a_map_of_labels_is_refused(tmp_path: Path) -> None:
    class Labels(graphs.Conv):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            return y.argmax(dim=1)

    path = graphs.write_torchscript(tmp_path / "n.pt", Labels(*graphs.identity()))
    line = refused(graphs.state(path))
    assert "gives 1 x 256 x 256; it must give one map per class" in line


def test_a_map_that_was_not_padded_is_refused(tmp_path: Path) -> None:
    class Valid(graphs.Conv):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            return y[:, :, 20:-20, 20:-20]

    path = graphs.write_torchscript(tmp_path / "n.pt", Valid(*graphs.identity()))
    assert "gives 216 x 216 px for 256 x 256 px, no whole" in refused(graphs.state(path))


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
@pytest.mark.parametrize("suffix", FORMS)
def test_a_truncated_graph_is_refused(suffix: str, keep: float, tmp_path: Path) -> None:
    path = graphs.write_identity(tmp_path / f"net{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    assert "not a whole " in refused(path)


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_an_archive_with_a_damaged_inside_is_refused(suffix: str, tmp_path: Path) -> None:
    path = graphs.write_identity(tmp_path / f"net{suffix}")
    rewrite(
        path,
        lambda name, data: data[: len(data) // 2] if "code" in name or ".json" in name else data,
    )
    assert "not a whole " in refused(path)


def rewrite(path: Path, change: Any) -> None:  # noqa: ANN401 any function of name and bytes
    """Rewrite the archive with ``change(name, data)`` instead of each file."""
    with ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    with ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, change(name, data))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pt2", ".ts"])
def test_weights_alone_are_sent_to_the_importer(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save(graphs.Conv(*graphs.identity()).state_dict(), path)
    assert "a pickle of weights, not a graph" in refused(path)
    assert "`segtasks model import`" in refused(path)


def test_onnx_with_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity())
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="n.data", size_threshold=0)
    assert "its weights are stored in other files; save it as one file" in refused(
        graphs.state(path)
    )


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = graphs.write_identity(tmp_path / "n.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "ONNX files need onnxruntime; pip install segtasks[onnx]" in refused(path)


def test_a_graph_is_no_start_for_training(tmp_path: Path) -> None:
    path = graphs.write_identity(tmp_path / "n.pt")
    with pytest.raises(ModelError, match="is a graph, which can be run but not loaded as"):
        load(path)


# a call or size in a torch.export program, what takes its place
HOSTILE = [
    ("torch.ops.aten.conv2d.default", "torch.os.system"),
    ("torch.ops.aten.conv2d.default", "_operator.methodcaller"),
    ("Symbol('s77', positive=True, integer=True)", "exec('print')"),
    ("Symbol('s77', positive=True, integer=True)", "().__class__"),
]


@pytest.mark.parametrize(("harmless", "hostile"), HOSTILE)
def test_a_program_that_would_run_python_is_refused(
    harmless: str, hostile: str, tmp_path: Path
) -> None:
    path = graphs.write_identity(tmp_path / "n.pt2")
    seen = []

    def change(_: str, data: bytes) -> bytes:
        seen.append(harmless.encode() in data)
        return data.replace(harmless.encode(), hostile.encode())

    rewrite(path, change)
    assert any(seen), "the program is no longer written as this test thinks"
    assert f"would run or unpickle {hostile!r}" in refused(path)


class Marked:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "where", ["sample_inputs/model.pt", "constants/opaque_obj_0", "weights/m.pt"]
)
def test_a_pickle_in_a_program_is_not_opened(where: str, tmp_path: Path) -> None:
    path, mark = graphs.write_identity(tmp_path / "n.pt2"), tmp_path / "mark"
    torch.save(Marked(mark), tmp_path / "pickle")
    with ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
    name = f"{root}/data/{where}"
    rewrite(path, lambda each, data: (tmp_path / "pickle").read_bytes() if each == name else data)
    with ZipFile(path, "a") as archive:
        if name not in archive.namelist():
            archive.write(tmp_path / "pickle", name)
    refused(path)
    assert not mark.exists()


def test_a_probed_card_is_read_without_torch_and_without_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = graphs.write_identity(tmp_path / "n.pt")
    card = probe_card(path, "torchscript", {"licence": "MIT"})
    Path(f"{path}.card.json").write_text(card.model_dump_json())
    monkeypatch.setattr(graph_card, "_run_probe", None)
    assert read_card(path) == card
    assert card.licence == "MIT"
    code = (
        "import sys; from segtasks.networks import read_card;"
        f"read_card({str(path)!r}); assert 'torch' not in sys.modules"
    )
    monkeypatch.undo()
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_incomplete_card_is_refused_by_read_card(tmp_path: Path) -> None:
    path = graphs.state(graphs.write_identity(tmp_path / "n.onnx"), lattice_px=1)
    with pytest.raises(ModelError, match=rf"run `segtasks model probe {path} --card ") as caught:
        read_card(path)
    says = "its card does not state output_stride, effective_halo_px, forward_bytes_per_px, graph."
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def count_processes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that collects the commands of all processes that are started."""
    started: list[object] = []
    real = subprocess.run

    def run(words: list[str], **options: Any) -> Any:  # noqa: ANN401 - as subprocess.run
        started.append(words)
        return real(words, **options)

    monkeypatch.setattr(subprocess, "run", run)
    return started


def test_a_graph_is_probed_once_and_not_at_every_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    started = count_processes(monkeypatch)
    path = graphs.write_identity(tmp_path / "n.onnx")
    first = card_of_model(path)
    assert "n.onnx: its card is incomplete, so the graph is run on noise" in caplog.text
    (kept,) = tmp_path.glob("cache/segtasks/probes/*.json")
    caplog.clear()
    assert card_of_model(path) == first
    assert (len(started), caplog.text) == (1, "")
    # What is kept is what is used.
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"lattice_px": 32}))
    assert card_of_model(path).lattice_px == 32
    # Another card is measured again, and so is a graph whose measurements are damaged.
    assert card_of_model(graphs.state(path, licence="MIT")).lattice_px == 1
    assert len(started) == 2
    kept.write_text("{")
    assert card_of_model(graphs.state(path)) == first
    assert len(started) == 3


def test_a_graph_is_probed_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = graphs.write_identity(tmp_path / "n.onnx")
    assert card_of_model(path).lattice_px == 1
    assert probe_cache.load("nothing") is None


def test_trying_leaves_torch_out_of_this_process(tmp_path: Path) -> None:
    path = graphs.write_identity(tmp_path / "n.onnx")
    code = (
        "import sys; from segtasks.networks.card_file import card_of_model;"
        f"card_of_model({str(path)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_sidecar_of_another_file_is_refused_until_it_is_probed_again(tmp_path: Path) -> None:
    path = graphs.write_identity(tmp_path / "n.onnx")
    Path(f"{path}.card.json").write_text(probe_card(path, "onnx", {}).model_dump_json())
    graphs.write_onnx(path, *graphs.identity(), size=(1, 64, 64))
    assert "was written for another n.onnx" in refused(path)
    card = probe_card(path, "onnx", {})
    assert card.graph is not None
    assert card.graph.patch_px == 64
    assert [entry.name for entry in card.classes] == graphs.STATED["classes"]


def test_trying_in_a_process_of_its_own_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = graphs.write_identity(tmp_path / "n.pt")
    here = probe_card(path, "torchscript", {})
    monkeypatch.undo()
    # Memory is what this process had before, too.
    either = {"forward_bytes_per_px": 1}
    there = probe_card(path, "torchscript", {})
    assert there.model_copy(update=either) == here.model_copy(update=either)


def test_what_is_stated_is_believed(tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(), then=["Sigmoid"])
    graph = {"gives": "probabilities", "patch_px": 96}
    card = card_of_model(graphs.state(path, lattice_px=16, halo_px=0, graph=graph))
    assert (card.lattice_px, card.halo_px) == (16, 0)
    assert card.graph is not None
    assert (card.graph.gives, card.graph.patch_px) == ("probabilities", 96)


def test_a_graph_that_crashes_crashes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    path = graphs.write_identity(tmp_path / "n.pt")
    crash = f"{tmp_path}/crash"
    Path(crash).write_text("#!/bin/sh\nkill -SEGV $$\n")
    Path(crash).chmod(0o755)
    monkeypatch.setattr(sys, "executable", crash)
    with pytest.raises(ModelError, match=r"ended with status -11 \(no output\); export the graph"):
        probe_card(path, "torchscript", {})


DEEPNESS: dict[str, Any] = {
    "model_type": "Segmentor",
    "class_names": {str(i): f"class {i}" for i in range(6)},
    "resolution": 21,
    "tile_size": 512,
    "standardization_mean": [0.5],
    "standardization_std": [0.25],
    "seg_thresh": 0.6,
}


def deepness(folder: Path, **changes: object) -> Path:
    metadata = {key: value for key, value in (DEEPNESS | changes).items() if value is not None}
    return graphs.write_onnx(folder / "n.onnx", *graphs.identity(), metadata=metadata)


def test_metadata_of_deepness_is_read(tmp_path: Path) -> None:
    card = card_of_model(deepness(tmp_path))
    assert [entry.name for entry in card.classes] == [f"class {i}" for i in range(6)]
    assert card.ground_resolution_m == pytest.approx(0.21)
    assert card.bands == ("band 1",)
    assert card.normalisation.mean == (127.5,)  # of 255: it is given bytes
    assert card.normalisation.std == (63.75,)
    assert card.provenance == {"deepness_tile_size": 512, "deepness_seg_thresh": 0.6}


def test_without_standardization_deepness_divides_by_255(tmp_path: Path) -> None:
    card = card_of_model(deepness(tmp_path, standardization_mean=None, standardization_std=None))
    assert (card.normalisation.mean, card.normalisation.std) == ((0,), (255,))


def test_a_sidecar_wins_over_metadata(tmp_path: Path) -> None:
    path = deepness(tmp_path)
    graphs.state(path, classes=None, bands=None, ground_resolution_m=0.5)
    card = card_of_model(path)
    assert (card.ground_resolution_m, card.classes[0].name) == (0.5, "class 0")
    assert card.normalisation.mean == (0,)


# a key of Deepness, what is wrong, what is said
WRONG_METADATA = [
    ("model_type", "Detector", "model_type Detector; only a Segmentor"),
    ("class_names", {"0": "a", "2": "b"}, "metadata class_names is "),
    ("resolution", "fine", "metadata resolution is 'fine'; it must be a number"),
    ("standardization_mean", 0.5, "metadata standardization_mean is 0.5; it must be a list"),
]


@pytest.mark.parametrize(("key", "value", "says"), WRONG_METADATA)
def test_wrong_metadata_is_refused_by_name(
    key: str, value: object, says: str, tmp_path: Path
) -> None:
    assert says in refused(deepness(tmp_path, **{key: value}))


def test_metadata_may_be_a_python_literal_and_of_several_outputs(tmp_path: Path) -> None:
    path = graphs.write_onnx(tmp_path / "n.onnx", *graphs.identity(2))
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"names": "[{0: 'field', 1: 'road'}, {0: 'other'}]"})
    onnx.save(model, path)
    assert [entry.name for entry in card_of_model(path).classes] == ["field", "road"]


def test_json_of_a_card_is_whole(tmp_path: Path) -> None:
    """Use the output of `model show --json` as a sidecar."""
    path = graphs.write_identity(tmp_path / "n.onnx")
    card = card_of_model(path)
    Path(f"{path}.card.json").write_text(json.dumps(json.loads(card.model_dump_json())))
    assert card_of_model(path) == card
