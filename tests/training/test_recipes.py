"""Settings: those of the papers with given weights, or from scratch; the job overrides both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, ModelError
from segtasks.networks.registry import names, spec
from segtasks.training.loop import train
from segtasks.training.recipes import settings_of

Jobs = Callable[..., TrainJob]
OPEN: dict[str, Any] = dict.fromkeys(("crop_px", "batch", "iterations", "learning_rate", "width"))

# network; rate, policy, momentum, weight decay, crop, batch, new layers x, biases x, auxiliary x
PAPERS = [
    # Zhao et al. 2017, sec. 5; head x10 and crop 473 as hszhao/semseg
    ("pspnet50", 1e-2, "poly", 0.9, 1e-4, 473, 16, 10, 1, 0.4),
    # Chen et al. 2018, sec. 4.1: 2.5e-4, fc x10, biases x20
    ("deeplabv2_resnet101", 2.5e-4, "poly", 0.9, 5e-4, 321, 10, 10, 2, 0),
    # Chen et al. 2015: 1e-3, step, fc8 x10 and x20, batch 30
    ("largefov", 1e-3, "step", 0.9, 5e-4, 321, 30, 10, 2, 0),
    # Long et al. 2015, sec. 4.3: 1e-4, minibatch of 20, biases x2; whole images
    ("fcn8s", 1e-4, "fixed", 0.9, 5e-4, 512, 20, 1, 2, 0),
    # segnet_solver.prototxt
    ("segnet", 1e-3, "fixed", 0.9, 5e-4, 512, 4, 1, 1, 0),
    # Yu & Koltun 2016, CamVid: batch 8, crops 628, momentum 0.99
    ("dilation8", 1e-4, "fixed", 0.99, 5e-4, 628, 8, 1, 1, 0),
]


@pytest.mark.parametrize("row", PAPERS, ids=lambda row: row[0])
def test_paper_is_what_the_paper_did(jobs: Jobs, row: tuple[Any, ...]) -> None:
    found = settings_of(jobs(**OPEN, network=row[0], recipe="paper"))
    assert found.optimizer == "sgd"
    assert found.width == 1
    assert row[1:] == (
        *(found.learning_rate, found.policy, found.momentum, found.weight_decay, found.crop_px),
        *(found.batch, found.head_factor, found.bias_factor, found.auxiliary_weight),
    )


@pytest.mark.parametrize("network", names())
def test_every_network_has_both(jobs: Jobs, network: str) -> None:
    paper = settings_of(jobs(**OPEN, network=network, recipe="paper"))
    scratch = settings_of(jobs(**OPEN, network=network))
    assert paper.source == spec(network).recipe.source
    assert (scratch.recipe, scratch.optimizer, scratch.learning_rate) == ("scratch", "adamw", 2e-3)
    assert (scratch.weight_decay, scratch.head_factor, scratch.loss_scales) == (0.01, 1, (1,))


def test_the_job_overrides_the_recipe(jobs: Jobs) -> None:
    said = {"learning_rate": 0.5, "batch": 3, "policy": "step", "loss_scales": (1, 0.5)}
    found = settings_of(jobs(**(OPEN | said), network="pspnet50", recipe="paper"))
    assert said == {key: getattr(found, key) for key in said}
    assert found.momentum == 0.9


def test_with_init_the_paper_else_scratch(jobs: Jobs, tmp_path: Path) -> None:
    weights = tmp_path / "vgg16.pth"
    weights.write_bytes(b"read later")
    assert settings_of(jobs(**OPEN, network="segnet")).recipe == "scratch"
    assert settings_of(jobs(**OPEN, network="segnet", init=str(weights))).recipe == "paper"
    found = settings_of(jobs(**OPEN, network="segnet", init=str(weights), recipe="scratch"))
    assert found.recipe == "scratch"


def test_heads_for_training_and_batch_norm_come_by_themselves(jobs: Jobs) -> None:
    assert settings_of(jobs(network="pspnet50")).variant == {"auxiliary": True}
    assert settings_of(jobs(network="fcn8s")).variant == {"batch_norm": True}
    assert settings_of(jobs(network="fcn8s", recipe="paper")).variant == {}
    plain = jobs(network="fcn8s", variant={"batch_norm": False, "dropout": 0.1})
    assert settings_of(plain).variant == {"batch_norm": False, "dropout": 0.1}


def test_a_model_files_own_form_is_kept(jobs: Jobs, tmp_path: Path) -> None:
    first = jobs(
        network="fcn8s_lean",
        width=0.06,
        variant={"dropout": 0.25},
        iterations=1,
        to=str(tmp_path / "first.safetensors"),
    )
    train(first)
    found = settings_of(jobs(network="fcn8s_lean", width=None, init=first.to))
    assert (found.width, found.variant) == (0.06, {"batch_norm": True, "dropout": 0.25})
    assert found.recipe == "scratch"  # as the file was made
    assert settings_of(jobs(init=first.to, recipe="paper")).recipe == "paper"


@pytest.mark.parametrize(
    ("policy", "rates"),
    [
        ("fixed", [1, 1, 1, 1, 1, 1]),
        ("step", [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("poly", [(1 - i / 6) ** 0.9 for i in range(6)]),
    ],
)
def test_policies(jobs: Jobs, policy: str, rates: list[float]) -> None:
    found = settings_of(jobs(policy=policy, iterations=6, learning_rate=1))
    assert [found.rate_at(i) for i in range(1, 7)] == pytest.approx(rates)


def test_a_batch_that_does_not_divide_is_refused(jobs: Jobs) -> None:
    with pytest.raises(JobError, match=r"batch 8 does not divide .* use a batch of 12"):
        settings_of(jobs(batch=8, accumulate=3, processes=2))


def test_a_missing_init_is_refused(jobs: Jobs) -> None:
    with pytest.raises(ModelError, match=r"absent\.pth: no such file to start from"):
        settings_of(jobs(init="absent.pth"))


def test_the_first_lines_list_the_settings(jobs: Jobs) -> None:
    job = jobs(**OPEN, network="pspnet50", recipe="paper", loss="cross_entropy+dice", threads=3)
    text = "\n".join(settings_of(job).lines(job))
    for part in (
        "network    pspnet50, width 1, auxiliary=True",
        "recipe     paper (Zhao et al. 2017",
        "sgd, learning rate 0.01 (poly 0.9; new layers x10, biases x1), momentum 0.9, weight decay",
        "loss       cross_entropy+dice, classes equal, auxiliary x0.4",
        "16 of 473 px an iteration, 150000 iterations, float32 on 1 cpu, threads 3",
    ):
        assert part in text
