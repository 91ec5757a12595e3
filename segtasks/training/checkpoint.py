"""The complete state of training between two iterations, from which it resumes exactly.

A checkpoint is written completely or not at all. It has no state of random numbers, because each
iteration draws its own from (seed, iteration).
"""

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, StorageError
from segtasks.evaluation.metrics import Scores

_NO_MATTER = {"to", "checkpoint", "checkpoint_every", "fresh", "weights_dtype", "licence", "note"}
"""Fields of a job that do not change the weights."""
_DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError)
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """The results of one iteration, a row of the curves."""

    iteration: int
    loss: float
    learning_rate: float
    mean_iou: float | None
    """Only if there was a validation."""


@dataclass(frozen=True)
class Best:
    """The best validation so far."""

    iteration: int
    counts: Tensor
    """Confusion matrix (K, K) of the validation, see `Scores`."""
    weights: Weights

    @property
    def scores(self) -> Scores:
        """The metrics of the validation."""
        return Scores(self.counts.numpy())


@dataclass
class Checkpoint:
    """The state after an iteration.

    Attributes:
        identity: values of the job and its data. A checkpoint with another identity is refused.
        iteration: number of the last update.
        weights: weights of the network.
        optimizer: state of the optimizer.
        scaler: state of the loss scaler; empty if there is none.
        best: the best validation so far.
        curve: results of the iterations so far.
    """

    identity: dict[str, Any]
    iteration: int = 0
    weights: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    best: Best | None = None
    curve: list[Step] = field(default_factory=list)

    @property
    def validations_since_best(self) -> int:
        """The number of validations since the best one."""
        best = self.best.iteration if self.best else 0
        return sum(s.mean_iou is not None and s.iteration > best for s in self.curve)

    def record(self, step: Step, scores: Scores | None, module: nn.Module) -> None:
        """Record an iteration, and copy the weights if they are the best so far."""
        self.iteration = step.iteration
        self.curve.append(step)
        if scores and (self.best is None or scores.mean_iou > self.best.scores.mean_iou):
            weights = {key: value.clone() for key, value in module.state_dict().items()}
            self.best = Best(step.iteration, torch.from_numpy(scores.counts), weights)


def identity_of(job: TrainJob, **found: Any) -> dict[str, Any]:  # noqa: ANN401 - plain values
    """Return the values that determine the weights of a training.

    Args:
        job: the settings.
        found: further values that change the weights, e.g. of the data, as JSON types.
    """
    values = {**job.model_dump(exclude=_NO_MATTER), **found}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write the state; the previous file is replaced only when the new one is complete.

    Raises:
        StorageError: it cannot be written, e.g. because the disk is full.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            torch.save(_plain(checkpoint), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer turns the one into the other
        unfinished.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise StorageError(
            f"{path}: checkpoint of iteration {checkpoint.iteration} cannot be written "
            f"({reason:.120}); free the disk or set `checkpoint`, then run again: it resumes from "
            "the one before"
        ) from error


def read(path: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """Read the state at ``path``; ``None`` if there is no file.

    Raises:
        JobError: the file is no checkpoint, or that of another job.
    """
    if not path.exists():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint = _from_plain(values)
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise JobError(
            f"{path}: not a checkpoint ({reason:.120}); remove it, or give --fresh to start again"
        ) from error
    if checkpoint.identity != identity:
        raise JobError(
            f"{path}: is of another job ({_difference(checkpoint.identity, identity)}); finish "
            "that one, give --fresh to start again, or another `to`"
        )
    return checkpoint


def _difference(kept: dict[str, Any], wanted: dict[str, Any]) -> str:
    keys = sorted(kept.keys() | wanted.keys())
    key = next(key for key in keys if kept.get(key) != wanted.get(key))
    return f"{key} was {kept.get(key)!r:.80}, is {wanted.get(key)!r:.80}"


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    """Convert to tensors and plain values, which torch loads with `weights_only`."""
    values = _fields(checkpoint)
    values["best"] = _fields(checkpoint.best) if checkpoint.best else None
    values["curve"] = [_fields(step) for step in checkpoint.curve]
    return values


def _from_plain(values: dict[str, Any]) -> Checkpoint:
    best = Best(**values.pop("best")) if values["best"] else values.pop("best")
    curve = [Step(**row) for row in values.pop("curve")]
    return Checkpoint(**values, best=best, curve=curve)


def _fields(of: Checkpoint | Best | Step) -> dict[str, Any]:
    return {part.name: getattr(of, part.name) for part in fields(of)}
