"""Training fits a scene, is reproducible, and refuses bad input before work starts."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from pydantic import ValidationError
from rasterio.windows import Window as RasterioWindow

from segtasks.config.label_sources import PairSource
from segtasks.config.legend import ClassEntry
from segtasks.config.train_job import Augmentation, TrainJob
from segtasks.errors import JobError, ModelError, SegtasksError, SourceError
from segtasks.networks.model_file import load
from segtasks.raster.grid import Window
from segtasks.storage.manifests import find_pairs
from segtasks.training.crops import flip_or_rotate
from segtasks.training.image_pairs import band_moments, class_pixels, open_pairs
from segtasks.training.loop import Progress, train
from segtasks.training.losses import loss_of
from segtasks.training.synthetic import label_path, write_scene
from segtasks.training.validation import evaluate_network

Jobs = Callable[..., TrainJob]
LEAN = {"network": "fcn8s_lean", "width": 0.06, "variant": {"batch_norm": True, "dropout": 0.0}}


def test_a_network_learns_a_tiny_scene_by_heart(jobs: Jobs) -> None:
    still = Augmentation(turns=False, brightness=0, contrast=0, colour=0)
    job = jobs(
        **LEAN,
        crop_px=96,
        iterations=120,
        optimizer="adamw",
        learning_rate=0.02,
        validate_every=60,
        augmentation=still,
    )
    seen: list[Progress] = []
    result = train(job, seen.append)
    assert result.scores.mean_iou > 0.6
    assert [p.iteration for p in seen if p.scores] == [60, 120]
    assert seen[0].learning_rate > seen[-1].learning_rate > 0


def test_the_same_job_gives_the_same_bytes(jobs: Jobs) -> None:
    digests = []
    for seed in (1, 1, 2):
        job = jobs(**LEAN, iterations=2, seed=seed)
        train(job)
        digests.append(hashlib.sha256(Path(job.to).read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_the_file_holds_the_network_that_was_validated(jobs: Jobs) -> None:
    job = jobs(**LEAN, iterations=4, validation_px=96)
    result = train(job)
    module, card = load(job.to)
    pairs = open_pairs(job.validation, job)
    scores = evaluate_network(module, pairs, card.normalisation, classes=6, window_px=96)
    np.testing.assert_array_equal(scores.counts, result.scores.counts)


def test_training_goes_on_from_a_model_file(jobs: Jobs, tmp_path: Path) -> None:
    first = jobs(**LEAN, iterations=4, to=str(tmp_path / "first.safetensors"))
    before = train(first).card
    still = {"learning_rate": 1e-12, "iterations": 1, "init": first.to}
    after = train(jobs(**LEAN, **still))
    assert after.card.normalisation == before.normalisation
    assert after.card.provenance["init"] == Path(first.to).name
    weights = [load(path)[0].state_dict()["fc6.weight"] for path in (first.to, after.model)]
    torch.testing.assert_close(*weights)


def test_another_number_of_classes_keeps_all_but_the_scores(
    jobs: Jobs, scene: Path, tmp_path: Path
) -> None:
    first = jobs(**LEAN, to=str(tmp_path / "first.safetensors"))
    train(first)
    with rasterio.open(label_path(scene), "r+") as labels:
        labels.write(np.full((1, 4, 4), 6, np.uint8), window=RasterioWindow(40, 40, 4, 4))
    more = [*first.legend, ClassEntry(id=6, name="rail", color="#123456")]
    after = train(jobs(**LEAN, legend=more, init=first.to, learning_rate=1e-12))
    module = load(after.model)[0]
    assert module(torch.zeros(1, 3, 32, 32)).shape == (1, 7, 32, 32)


def test_an_init_of_which_nothing_fits_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    first = jobs(to=str(tmp_path / "first.safetensors"))
    train(first)
    with pytest.raises(ModelError, match=r"none of its 2 tensors fits fcn8s_lean of width 0\.06"):
        train(jobs(**LEAN, init=first.to))


def test_training_leaves_the_callers_random_numbers_alone(jobs: Jobs) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(jobs())
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_the_card_says_where_the_weights_come_from(jobs: Jobs, scene: Path) -> None:
    job = jobs(note="make model", licence="CC0-1.0", ground_resolution_m=0.3, seed=4)
    result = train(job)
    module, card = load(job.to)
    assert card == result.card
    assert (card.licence, card.ground_resolution_m) == ("CC0-1.0", 0.3)
    assert card.bands == ("red", "green", "blue")
    assert card.provenance["sources"] == scene.name  # folders stay at home
    assert card.provenance["seed"] == 4
    assert card.provenance["note"] == "make model"
    assert card.provenance["validation_mean_iou"] == round(result.scores.mean_iou, 4)
    assert "validation_iou_road" in card.provenance
    assert module(torch.zeros(1, 3, 8, 8)).shape == (1, 6, 8, 8)


def test_normalisation_is_the_mean_and_deviation_of_the_image(jobs: Jobs, scene: Path) -> None:
    job = jobs()
    mean, std = band_moments(open_pairs(job.sources, job))
    with rasterio.open(scene) as source:
        pixels = source.read().reshape(3, -1).astype(float)
    np.testing.assert_allclose(mean, pixels.mean(1))
    np.testing.assert_allclose(std, pixels.std(1))


def test_rare_classes_weigh_more_when_asked(jobs: Jobs) -> None:
    results = [train(jobs(class_weights=weights)) for weights in ("equal", "median_frequency")]
    assert results[0].card.weights_sha256 != results[1].card.weights_sha256


def test_rotation_moves_labels_with_their_pixels() -> None:
    labels = torch.arange(12).reshape(3, 4)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(100):
        image, after = flip_or_rotate((labels[None].float(), labels), Augmentation(), rng)
        assert torch.equal(image[0].long(), after)
        seen.add((*after.shape, *after.flatten().tolist()))
    assert len(seen) == 8


def test_loss_is_cross_entropy_over_labelled_pixels() -> None:
    logits, labels = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    labels[0, 0] = 255
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(loss_of(logits, labels, torch.ones(3), 255), expected)


def test_a_crop_without_labels_costs_nothing() -> None:
    labels = torch.full((1, 4, 4), 255)
    assert loss_of(torch.randn(1, 3, 4, 4), labels, torch.ones(3), 255) == 0


def test_globs_do_not_take_labels_for_images(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_scene(tmp_path / f"s{seed}.tif", seed, 8, 8)
    source = PairSource(image=f"{tmp_path}/*.tif", labels="{parent}/{stem}_label.tif")
    images = [tmp_path / "s1.tif", tmp_path / "s2.tif"]
    assert find_pairs([source]) == [(str(path), str(label_path(path))) for path in images]


def test_transparent_pixels_are_not_trained_on(jobs: Jobs, scene: Path) -> None:
    holed = scene.with_name("holed.tif")
    with rasterio.open(scene) as source:
        profile, image = source.profile | {"count": 4}, source.read()
    alpha = np.full(image.shape[1:], 255, np.uint8)
    alpha[:, 20:] = 0
    with rasterio.open(holed, "w", **profile) as target:
        target.write(np.concatenate([image, alpha[None]]))
    job = jobs(sources=(PairSource(image=str(holed), labels=str(label_path(scene))),))
    (pair,) = open_pairs(job.sources, job)
    assert pair.bands == (1, 2, 3)
    assert class_pixels([pair], 6).sum() == 96 * 20
    _, valid, labels = pair.read(Window(0, 0, 96, 128))
    assert (labels[:, 20:] == 255).all()
    assert not valid[:, 20:].any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        # No labels file: the pair is named before anything is read.
        ({"labels": "absent.tif"}, SourceError, r"absent\.tif: no such file"),
        ({"image": "absent_*.tif"}, JobError, "no images at .*absent"),
        # Labels of another place.
        ({"labels": "other_label.tif"}, SourceError, r"other_label\.tif does not overlap .*scene"),
        # An image is no coloured mask.
        ({"labels": "colours.tif"}, SourceError, r"colours\.tif: colour #\w{6} is not in the leg"),
    ],
)
def test_unsuitable_pairs_are_refused_before_work(
    jobs: Jobs, scene: Path, changes: dict[str, str], error: type[SegtasksError], message: str
) -> None:
    with rasterio.open(write_scene(scene.with_name("other.tif"), 1, 40, 50), "r+") as other:
        other.transform = other.transform.translation(1000, 1000)
    copyfile(scene, scene.with_name("colours.tif"))
    names = {"image": "scene.tif", "labels": "scene_label.tif"} | changes
    places = {key: str(scene.with_name(name)) for key, name in names.items()}
    job = jobs(sources=(PairSource(**places),))
    with pytest.raises(error, match=message):
        train(job, _fail)
    assert not Path(job.to).exists()


def _fail(_: Progress) -> None:
    raise AssertionError("training started")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": (1, 5)}, r"has no bands \(1, 5\); set `bands` to some of \(1, 2, 3\)"),
        ({"device": "cuda"}, "torch sees no GPU"),
    ],
)
def test_impossible_jobs_are_refused(jobs: Jobs, changes: dict[str, Any], message: str) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(JobError, match=message):
        train(jobs(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ignore": 3}, "ignore is 3, the id of a class; choose 6 … 255"),
        ({"to": "model.pt"}, "end it with .safetensors"),
        ({"augmentation": {"scale": (2, 1)}}, "put the smaller magnification first"),
        ({"legend": [{"id": 1, "name": "a", "color": "#000000"}] * 2}, "number them 0 … 1"),
    ],
)
def test_contradictions_are_refused(jobs: Jobs, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        jobs(**changes)


def test_divergence_is_an_error_of_one_line(jobs: Jobs) -> None:
    with pytest.raises(ModelError, match="training diverged; lower learning_rate"):
        train(jobs(learning_rate=1e38, iterations=8, optimizer="sgd"))


def test_it_ends_early_when_validation_gets_no_better(jobs: Jobs) -> None:
    job = jobs(iterations=50, validate_every=3, patience=2, learning_rate=1e-30)
    seen: list[Progress] = []
    result = train(job, seen.append)
    assert [p.iteration for p in seen if p.scores] == [3, 6, 9]  # the best, and two no better
    assert seen[-1].iteration == 9
    assert result.iteration == 3
