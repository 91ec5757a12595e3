"""One step: learning rates of groups of parameters, parts of a batch, several heads."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, ModelError
from segtasks.networks.registry import build
from segtasks.training.crops import Crop
from segtasks.training.distributed import Ranks
from segtasks.training.module import TrainingModule
from segtasks.training.optimisation import RATE_FACTOR, Stepper, optimizer_of
from segtasks.training.recipes import settings_of

Jobs = Callable[..., TrainJob]
IGNORE = 255
WEIGHTS = torch.linspace(0.5, 2, 6)


def batch(side: int = 24, count: int = 4) -> Crop:
    draw = torch.Generator().manual_seed(7)
    images = torch.randn(count, 3, side, side, generator=draw)
    labels = torch.randint(6, (count, side, side), generator=draw)
    labels[0, : side // 2] = IGNORE  # parts of the batch have other numbers of labels
    return images, labels


def stepper(job: TrainJob, module: nn.Module, new: Iterable[str] = ()) -> Stepper:
    settings = settings_of(job)
    learner = TrainingModule(module, settings)
    optimizer = optimizer_of(settings, module, new)
    enabled = job.precision == "float16"
    scaler = torch.amp.GradScaler("cpu", enabled=enabled, init_scale=2.0**40)
    loss_weights = learner.loss_weights
    return Stepper(job, settings, learner, loss_weights, optimizer, scaler, WEIGHTS, Ranks())


def trained(job: TrainJob, network: str, **options: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    torch.manual_seed(0)
    module = build(network, classes=6, **options)
    course = stepper(job, module)
    for iteration in (1, 2):
        course.step(batch(), iteration)
    return module.state_dict()


def test_new_layers_and_biases_learn_faster_and_biases_do_not_decay(jobs: Jobs) -> None:
    job = jobs(network="largefov", recipe="paper", width=0.02, learning_rate=1e-3)
    module = build("largefov", classes=6, width=0.02)
    optimizer = optimizer_of(settings_of(job), module, ["fc8.weight", "fc8.bias"])
    found = {
        id(parameter): (group[RATE_FACTOR], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(found) == len(list(module.parameters()))
    parameters = dict(module.named_parameters())
    # solver.prototxt and train.prototxt: lr_mult 1, 2, 10, 20; decay_mult 1, 0, 1, 0
    assert {name: found[id(parameters[name])] for name in _NAMED} == {
        "conv1_1.weight": (1, 5e-4),
        "conv1_1.bias": (2, 0),
        "fc8.weight": (10, 5e-4),
        "fc8.bias": (20, 0),
    }


_NAMED = ("conv1_1.weight", "conv1_1.bias", "fc8.weight", "fc8.bias")


def test_a_new_layer_moves_ten_times_as_far(jobs: Jobs) -> None:
    moved = []
    for new in ((), ("score.weight",)):
        torch.manual_seed(0)
        module = build("linear", classes=6)
        before = module.get_parameter("score.weight").detach().clone()
        job = jobs(optimizer="sgd", head_factor=10, momentum=0, weight_decay=0, gradient_norm=1e9)
        stepper(job, module, new).step(batch(), 1)
        moved.append(module.get_parameter("score.weight").detach() - before)
    torch.testing.assert_close(moved[1], 10 * moved[0])


def test_parts_of_a_batch_add_up_to_the_whole(jobs: Jobs) -> None:
    whole, parts = (
        trained(
            jobs(batch=4, accumulate=count, optimizer="sgd"),
            "fcn8s_lean",
            width=0.06,
            batch_norm=False,
            dropout=0.0,
        )
        for count in (1, 4)
    )
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-6)


def test_an_auxiliary_head_has_its_weight(jobs: Jobs) -> None:
    job = jobs(network="pspnet50", variant={"dropout": 0.0}, width=0.03)
    torch.manual_seed(0)
    module = build("pspnet50", classes=6, width=0.03, auxiliary=True, dropout=0.0).eval()
    images, labels = batch(33)
    main, auxiliary = (
        functional.cross_entropy(logits, labels, WEIGHTS, ignore_index=IGNORE).item()
        for logits in module.training_logits(images)  # type: ignore[operator]
    )
    value = stepper(job, module).step((images, labels), 1)
    assert value == pytest.approx(main + 0.4 * auxiliary, rel=1e-4)


def resized(x: torch.Tensor, side: int) -> torch.Tensor:
    return functional.interpolate(x, size=[side, side], mode="bilinear", align_corners=True)


def test_deeplab_has_a_loss_at_each_scale_and_for_the_maximum(jobs: Jobs) -> None:
    job = jobs(network="deeplabv2_resnet101", recipe="paper", width=0.02)
    torch.manual_seed(0)
    module = build("deeplabv2_resnet101", classes=6, width=0.02).eval()
    learner = TrainingModule(module, settings_of(job))
    images = torch.randn(1, 3, 65, 65)
    whole, three_quarters, half, fused = learner(images)
    assert list(learner.loss_weights) == [1] * 4
    torch.testing.assert_close(whole, module(images))
    torch.testing.assert_close(half, resized(module(resized(images, 33)), 65))
    torch.testing.assert_close(fused, whole.maximum(three_quarters).maximum(half))


def test_what_lies_under_a_missing_label_moves_no_weight_of_a_pixel_classifier(jobs: Jobs) -> None:
    found = []
    for poison in (0.0, 1e6):
        torch.manual_seed(0)
        module = build("linear", classes=6)
        images, labels = batch()
        poisoned = torch.where((labels == IGNORE)[:, None], poison, images)
        stepper(jobs(), module).step((poisoned, labels), 1)
        found.append(module.state_dict())
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_a_loss_scale_that_is_too_large_is_lowered_and_the_step_passed_over(jobs: Jobs) -> None:
    job = jobs(iterations=60).model_copy(update={"precision": "float16"})  # refused on a CPU
    module = build("linear", classes=6)
    before = module.get_parameter("score.weight").detach().clone()
    course = stepper(job, module)
    course.step(batch(), 1)
    assert course.scaler.get_scale() == 2.0**39
    assert torch.equal(module.get_parameter("score.weight"), before)
    for iteration in range(2, 60):
        course.step(batch(), iteration)
    assert not torch.equal(module.get_parameter("score.weight"), before)


def test_divergence_is_an_error(jobs: Jobs) -> None:
    module = build("linear", classes=6)
    images, labels = batch()
    with pytest.raises(ModelError, match="loss is nan, gradient nan: training diverged"):
        stepper(jobs(), module).step((images * float("nan"), labels), 1)


def test_parts_of_one_crop_are_too_small_for_the_pyramids_batch_norm(jobs: Jobs) -> None:
    job = jobs(network="pspnet50", width=0.03, batch=4, accumulate=4)
    module = build("pspnet50", classes=6, width=0.03, auxiliary=True)
    with pytest.raises(JobError, match=r"1 crop in a part: BatchNorm .* a smaller `accumulate`"):
        stepper(job, module).step(batch(), 1)
