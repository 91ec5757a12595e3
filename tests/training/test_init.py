"""Initial weights: those of a file that fit are used, and the others are reported."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window as RasterioWindow

from segtasks.config.label_sources import PairSource
from segtasks.config.legend import ClassEntry
from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, ModelError
from segtasks.networks.importers.transfer import Transfer, spread_bands, transfer
from segtasks.networks.model_file import load
from segtasks.networks.registry import build
from segtasks.training.loop import train
from segtasks.training.synthetic import label_path
from tests.helpers import foreign
from tests.helpers.foreign import Weights

Jobs = Callable[..., TrainJob]
WIDTH = 1 / 16
STILL = {"learning_rate": 1e-12, "weight_decay": 0, "iterations": 1}
# torchvision's vgg16().features, members counted with ReLUs and pools
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def vgg16() -> Weights:
    """A narrow VGG16 with torchvision's layout, in which fc6 is a matrix."""
    shapes: foreign.Shapes = {}
    for index, (_, out, into) in zip(FEATURES, foreign.vgg16(WIDTH), strict=True):
        shapes |= foreign.conv(f"features.{index}", out, into, 3, bias=True)
    inner, units = round(512 * WIDTH), round(4096 * WIDTH)
    for index, (out, into) in {0: (units, inner * 49), 3: (units, units), 6: (10, units)}.items():
        shapes |= {f"classifier.{index}.weight": (out, into), f"classifier.{index}.bias": (out,)}
    return foreign.random_state(shapes)


def resnet50() -> Weights:
    shapes = foreign.stem(width=WIDTH)
    shapes |= foreign.stages(50, round(64 * WIDTH), foreign.torchvision_part(), WIDTH)
    return foreign.random_state(shapes | {"fc.weight": (10, 128), "fc.bias": (10,)})


def fitted(theirs: Weights, network: str, bands: int = 3, **variant: Any) -> Transfer:  # noqa: ANN401
    return transfer(
        theirs, "w.pth", network=network, width=WIDTH, variant=variant, classes=5, bands=bands
    )


def test_vgg16_fills_segnets_encoder() -> None:
    state = vgg16()
    found = fitted(state, "segnet")
    for index, (name, _, _) in zip(FEATURES, foreign.vgg16(), strict=True):
        assert torch.equal(found.weights[f"{name}.weight"], state[f"features.{index}.weight"])
    assert len(found.weights) == 26
    assert found.left_over == tuple(sorted(key for key in state if key.startswith("classifier")))
    assert "conv1_1.bn.weight" in found.new
    assert not set(found.new) & found.weights.keys()


def test_vgg16_fills_fcns_fully_connected_layers_too() -> None:
    state = vgg16()
    found = fitted(state, "fcn8s")
    fc6 = found.weights["fc6.weight"]
    assert torch.equal(fc6.flatten(1), state["classifier.0.weight"])
    assert found.left_over == ("classifier.6.bias", "classifier.6.weight")
    assert all(key.startswith("score") for key in found.new)  # frozen kernels are not new


def test_a_resnet_fills_pspnets_trunk_but_for_its_deeper_stem() -> None:
    state = resnet50()
    found = fitted(state, "pspnet50", auxiliary=True)
    assert torch.equal(found.weights["layer3.4.conv2.weight"], state["layer3.4.conv2.weight"])
    assert torch.equal(
        found.weights["layer4.0.shortcut.bn.running_var"],
        state["layer4.0.downsample.1.running_var"],
    )
    assert set(found.left_over) == {
        *(f"bn1.{leaf}" for leaf in foreign.LEAVES),
        *("conv1.weight", "fc.weight", "fc.bias"),
        # its stem gives 128 channels where theirs gives 64
        *("layer1.0.conv1.weight", "layer1.0.downsample.0.weight"),
    }


def test_caffes_filters_are_turned_and_take_normalised_bands() -> None:
    state = foreign.random_state(foreign.vgg16_convs(WIDTH))
    blobs = {key.replace("weight", "0").replace("bias", "1"): v for key, v in state.items()}
    found = fitted(blobs, "segnet").weights["conv1_1.weight"]
    rgb, mean = torch.rand(1, 3, 9, 9) * 255, torch.tensor([123.68, 116.779, 103.939])
    std = torch.tensor([58.395, 57.12, 57.375])
    raw = (rgb - mean[:, None, None]).flip(1)
    normalised = (rgb - mean[:, None, None]) / std[:, None, None]
    expected = torch.conv2d(raw, state["conv1_1.weight"])
    torch.testing.assert_close(torch.conv2d(normalised, found), expected, rtol=1e-4, atol=1e-2)


def test_nothing_that_fits_is_refused() -> None:
    with pytest.raises(ModelError, match=r"w\.pth: none of its 32 tensors fits refinenet50 of"):
        fitted(vgg16(), "refinenet50")
    wide = foreign.random_state(foreign.vgg16_convs(WIDTH * 2))
    with pytest.raises(ModelError, match=r"of width 0\.0625 .*give another network or width"):
        fitted(wide, "segnet")


def test_further_bands_get_the_mean_and_activations_keep_their_size() -> None:
    kernel = torch.randn(8, 3, 3, 3)
    for bands in (4, 8):
        spread = spread_bands(kernel, bands)
        torch.testing.assert_close(spread[:, :3], kernel * 3 / bands)
        for band in range(3, bands):
            torch.testing.assert_close(spread[:, band], kernel.mean(1) * 3 / bands)
    # On an image whose bands are alike the answer stays what it was.
    grey = torch.randn(1, 1, 9, 9)
    expected = torch.conv2d(grey.expand(-1, 3, -1, -1), kernel)
    for bands in (1, 2, 4, 5, 13):
        found = torch.conv2d(grey.expand(-1, bands, -1, -1), spread_bands(kernel, bands))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("init", ["model", "backbone"])
def test_weights_for_another_order_of_bands_need_chosen_bands(
    init: str, jobs: Jobs, scene: Path, tmp_path: Path
) -> None:
    lean = {"network": "fcn8s_lean", "width": WIDTH}
    first = jobs(**lean, to=str(tmp_path / "first.safetensors"))
    train(first)
    torch.save(load(first.to)[0].state_dict(), tmp_path / "first.pth")
    turned = shutil.copy(scene, tmp_path / "turned.tif")
    with rasterio.open(turned, "r+") as dataset:
        dataset.descriptions = ("blue", "green", "red")
    pair = PairSource(image=str(turned), labels=str(label_path(scene)))
    weights = first.to if init == "model" else str(tmp_path / "first.pth")
    both = {"sources": (pair,), "validation": (pair,), "init": weights, **lean}
    with pytest.raises(JobError, match=r"bands are blue, green, red, those of init .*red, green"):
        train(jobs(**both))
    assert load(train(jobs(**both, bands=(3, 2, 1))).model)[1].bands == ("red", "green", "blue")


def test_a_model_of_three_bands_initialises_one_of_four_bands_of_uint16(
    jobs: Jobs, scene: Path, tmp_path: Path
) -> None:
    lean = {"network": "fcn8s_lean", "width": WIDTH, "variant": {"batch_norm": True}}
    first = jobs(**lean, to=str(tmp_path / "first.safetensors"))
    train(first)
    with rasterio.open(scene) as source:
        image = source.read().astype(np.uint16) * 16
        profile = source.profile | {"count": 4, "dtype": "uint16"}
    with rasterio.open(tmp_path / "four.tif", "w", **profile) as target:
        target.write(np.concatenate([image, image[:1] // 2 + 7]))
    labels = label_path(scene)
    with rasterio.open(labels, "r+") as target:
        target.write(np.full((1, 4, 4), 6, np.uint8), window=RasterioWindow(40, 40, 4, 4))
    pair = PairSource(image=str(tmp_path / "four.tif"), labels=str(labels))
    classes = [*first.legend, ClassEntry(id=6, name="rail", color="#123456")]
    both = {"sources": (pair,), "validation": (pair,), "bands": (1, 2, 3, 4), "legend": classes}
    lines: list[str] = []
    after = train(
        jobs(**(both | STILL), network="fcn8s_lean", width=None, init=first.to),
        on_line=lines.append,
    )
    module, card = load(after.model)
    assert (len(card.bands), card.normalisation.dtype, card.width) == (4, "uint16", WIDTH)
    theirs = load(first.to)[0].state_dict()
    own = module.state_dict()
    torch.testing.assert_close(
        own["conv1_1.weight"], spread_bands(theirs["conv1_1.weight"], 4), rtol=1e-5, atol=1e-8
    )
    text = "\n".join(lines)
    assert "spread conv1_1.weight from 3 bands to 4" in text
    assert "new here: 6: score_fr.weight, score_fr.bias, score_pool" in text
    assert "left in the file: 6: score_" in text
    assert "recipe     scratch" in text


def test_training_starts_from_a_backbone_file(jobs: Jobs, tmp_path: Path) -> None:
    file = tmp_path / "vgg16.pth"
    state = {key: tensor / 100 for key, tensor in vgg16().items()}
    torch.save(state, file)
    lines: list[str] = []
    job = jobs(**(STILL | {"width": WIDTH}), network="fcn8s_lean", init=str(file))
    result = train(job, on_line=lines.append)
    assert result.card.provenance["init"] == "vgg16.pth"
    kernel = load(result.model)[0].state_dict()["conv5_3.weight"]
    torch.testing.assert_close(kernel, state["features.28.weight"])
    taken = [line for line in lines if line.startswith("init ")]
    assert len(taken) == 1
    assert "30 tensors (" in taken[0]


def test_what_is_no_weights_file_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    for name, said in (("a.pth", "not a whole"), ("a.tif", "weights files end in")):
        (tmp_path / name).write_bytes(b"nothing of that kind")
        with pytest.raises(ModelError, match=said):
            train(jobs(network="segnet", width=None, init=str(tmp_path / name)))


def test_the_probe_of_bands_agrees_with_the_network() -> None:
    module = build("segnet", classes=5, bands=4, width=WIDTH)
    found = fitted(vgg16(), "segnet", bands=4)
    assert found.spread == {"conv1_1.weight": 3}
    module.load_state_dict(module.state_dict() | found.weights)
