"""Train a network on image/label pairs: check everything, then loop, keep the best, write it.

    pairs ─▶ class pixels, band moments ─▶ crops ─▶ SGD, poly rate ─▶ validation ─▶ model file
             (refused here if unfit)                                  best mIoU kept

Poly policy: rate x (1 - i / iterations)^power (Liu et al. 2015; DeepLab v2, sec. 4.1).
Median frequency weights: median of class shares / share (Eigen & Fergus 2015, sec. 6.3.2).
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segtasks.errors import JobError
from segtasks.networks import Card, Normalisation
from segtasks.training.crops import Cropper, sample_tiles
from segtasks.training.evaluate import evaluate_network
from segtasks.training.job import TrainJob
from segtasks.training.metrics import Scores
from segtasks.training.pairs import (
    Pair,
    band_moments,
    check_alike,
    class_pixels,
    open_pairs,
    require_classes,
    warn_of_absent,
)
from segtasks.training.product import write_model
from segtasks.training.start import start_network, start_normalisation
from segtasks.training.step import optimizer_of, take_step


@dataclass(frozen=True)
class Progress:
    """One iteration done."""

    iteration: int
    iterations: int
    loss: float
    learning_rate: float
    scores: Scores | None
    """At validations only."""


@dataclass(frozen=True)
class Result:
    """What training made."""

    out: str
    card: Card
    scores: Scores
    """Of the best validation, whose weights were written."""
    iteration: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class _Material:
    """What was found out about the data before the first iteration."""

    training: list[Pair]
    validation: list[Pair]
    normalisation: Normalisation
    class_weights: Tensor


def train(job: TrainJob, on_progress: OnProgress = lambda _: None) -> Result:
    """Train as the job says and write its model file.

    The weights depend on the job, the data, torch's version and its number of threads alone;
    the caller's random state is left as it was.

    Raises:
        JobError: the settings contradict each other or the device is missing.
        SourceError: a pair is missing or unfit; nothing has been written then.
        ModelError: the network is unknown, or training diverged.
    """
    if job.device == "cuda" and not torch.cuda.is_available():
        raise JobError("device is cuda, but torch sees no GPU; use device cpu")
    material = _material(job)
    with torch.random.fork_rng():
        module = start_network(job, len(material.normalisation.mean))
        best = _loop(job, material, module, on_progress)
        module.load_state_dict(best.weights)
        samples = sample_tiles(material.validation, material.normalisation)
        scores, iteration = best.scores, best.iteration
        card = write_model(job, module, material.normalisation, samples, iteration, scores)
    return Result(job.out, card, best.scores, best.iteration)


def _material(job: TrainJob) -> _Material:
    training, validation = (open_pairs(part, job) for part in (job.sources, job.validation))
    check_alike([*training, *validation])
    pixels = class_pixels(training, len(job.legend))
    require_classes(pixels, job.legend)
    warn_of_absent(class_pixels(validation, len(job.legend), "validation"), job.legend)
    mean, std = band_moments(training)
    measured = Normalisation(mean=mean, std=std, dtype=training[0].image.dtype)
    normalisation = start_normalisation(job, measured)
    return _Material(training, validation, normalisation, _class_weights(job, pixels))


def _class_weights(job: TrainJob, pixels: NDArray[np.int64]) -> Tensor:
    """Return (K,) float32; classes without a pixel weigh 0."""
    if job.class_weights == "equal":
        return torch.ones(len(pixels))
    share = pixels / pixels.sum()
    median = np.median(share[share > 0])
    weights = np.divide(median, share, out=np.zeros(len(share)), where=share > 0)
    return torch.from_numpy(weights).float()


@dataclass(frozen=True)
class _Best:
    """The best validation so far."""

    iteration: int
    scores: Scores
    weights: dict[str, Tensor]


def _loop(job: TrainJob, material: _Material, module: nn.Module, tell: OnProgress) -> _Best:
    """Train; return the weights of the best validation. The last iteration is always validated."""
    optimizer = optimizer_of(job, module)
    cropper = Cropper(material.training, material.normalisation, job)
    best: _Best | None = None
    for done, batch in enumerate(cropper.batches(np.random.default_rng(job.seed)), start=1):
        rate = job.learning_rate * (1 - (done - 1) / job.iterations) ** job.power
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = take_step(job, module, optimizer, batch, material.class_weights)
        scores = _validated(job, material, module) if _is_due(job, done) else None
        if scores and (best is None or scores.mean_iou > best.scores.mean_iou):
            best = _Best(done, scores, deepcopy(module.state_dict()))
        tell(Progress(done, job.iterations, loss, rate, scores))
    assert best is not None
    return best


def _is_due(job: TrainJob, done: int) -> bool:
    return done % job.validate_every == 0 or done == job.iterations


def _validated(job: TrainJob, material: _Material, module: nn.Module) -> Scores:
    return evaluate_network(
        module,
        material.validation,
        material.normalisation,
        classes=len(job.legend),
        window_px=job.validation_px,
    )
