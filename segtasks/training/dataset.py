"""The training data: pairs, and their statistics before the first iteration."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segtasks.config.train_job import TrainJob
from segtasks.networks import Normalisation
from segtasks.training.checkpoint import identity_of
from segtasks.training.image_pairs import (
    Pair,
    band_moments,
    check_alike,
    class_pixels,
    open_pairs,
    require_classes,
    warn_of_absent,
)
from segtasks.training.init_file import init_path
from segtasks.training.initialise import check_order, initial_normalisation
from segtasks.training.recipes import Settings
from segtasks.training.resolution import ground_resolution_m


@dataclass(frozen=True)
class TrainingData:
    """The pairs, and the statistics of their pixels.

    Attributes:
        training: pairs to train on.
        validation: pairs to choose the best weights by.
        normalisation: mean and standard deviation of the images.
        class_weights: weights of the classes in the loss (K,).
        ground_resolution_m: side of the pixels to train on; ``None`` if it is unknown.
        identity: identity of the job and this data, see `checkpoint`.
    """

    training: list[Pair]
    validation: list[Pair]
    normalisation: Normalisation
    class_weights: Tensor
    ground_resolution_m: float | None
    identity: dict[str, Any]


def make_training_data(job: TrainJob, settings: Settings) -> TrainingData:
    """Open and check the pairs, and measure them.

    Raises:
        JobError: a glob finds nothing, a band is missing, or images have different bands.
        SourceError: a file is missing or unsuitable.
    """
    training, validation = (open_pairs(part, job) for part in (job.sources, job.validation))
    check_alike([*training, *validation])
    check_order(job, training[0])
    pixels = class_pixels(training, len(job.legend))
    require_classes(pixels, job.legend)
    validated = class_pixels(validation, len(job.legend), "validation")
    warn_of_absent(validated, job.legend)
    mean, std = band_moments(training)
    measured = Normalisation(mean=mean, std=std, dtype=training[0].image.dtype)
    identity = identity_of(
        job,
        settings=asdict(settings),
        init_sha256=_sha256(job.init),
        class_pixels=[pixels.tolist(), validated.tolist()],
        moments=[mean, std],
    )
    return TrainingData(
        training,
        validation,
        initial_normalisation(job, measured),
        _class_weights(job, pixels),
        ground_resolution_m(job.ground_resolution_m, [pair.image for pair in training]),
        identity,
    )


def _sha256(init: str | None) -> str | None:
    if init is None:
        return None
    with init_path(init).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _class_weights(job: TrainJob, pixels: NDArray[np.int64]) -> Tensor:
    """Return the weights (K,) float32; classes without a pixel have weight 0."""
    if job.class_weights == "equal":
        return torch.ones(len(pixels))
    share = pixels / pixels.sum()
    median = np.median(share[share > 0])
    weights = np.divide(median, share, out=np.zeros(len(share)), where=share > 0)
    return torch.from_numpy(weights).float()
