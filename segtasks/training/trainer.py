"""The iterations: crops, step, validation, checkpoint; on each of the processes alike.

What an iteration draws at random depends on (seed, iteration, process) alone, so a course that was
killed and taken up again is the course that was not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segtasks.config.train_job import TrainJob
from segtasks.evaluation.metrics import Scores
from segtasks.training import checkpoint
from segtasks.training.checkpoint import Checkpoint, Step
from segtasks.training.crops import Cropper
from segtasks.training.dataset import TrainingData
from segtasks.training.distributed import Ranks
from segtasks.training.initialise import InitialNetwork
from segtasks.training.module import TrainingModule
from segtasks.training.optimisation import Stepper, optimizer_of
from segtasks.training.recipes import Settings
from segtasks.training.validation import evaluate_network


@dataclass(frozen=True)
class Progress:
    """One iteration done."""

    iteration: int
    iterations: int
    loss: float
    learning_rate: float
    scores: Scores | None
    """At validations only."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Trainer:
    """Training of one network.

    Attributes:
        ranks: which of the processes this is.
        job: what was asked for.
        settings: what it came to.
        material: the data.
        module: the network.
        stepper: updates it.
    """

    ranks: Ranks
    job: TrainJob
    settings: Settings
    material: TrainingData
    module: nn.Module
    stepper: Stepper

    def resume(self, kept: Checkpoint) -> None:
        """Give network and optimizer the state of a checkpoint."""
        self.module.load_state_dict(kept.weights)
        self.stepper.optimizer.load_state_dict(kept.optimizer)
        self.stepper.scaler.load_state_dict(kept.scaler)

    def run(self, state: Checkpoint, on_progress: OnProgress) -> None:
        """Go on from ``state``, which is kept up to date, to the end."""
        if self._is_over(state):
            return
        todo = range(state.iteration + 1, self.settings.iterations + 1)
        material, settings = self.material, self.settings
        cropper = Cropper(
            material.training,
            material.normalisation,
            self.job,
            settings.crop_px,
            settings.batch,
            self.ranks,
        )
        with cropper.batches(todo) as batches:
            for iteration, batch in zip(todo, batches, strict=True):
                torch.manual_seed(self._seed(iteration))
                progress = self._done(state, iteration, self.stepper.step(batch, iteration))
                on_progress(progress)
                if progress.scores and self._is_over(state):
                    break

    def _done(self, state: Checkpoint, iteration: int, loss: float) -> Progress:
        """Validate and keep the state where it is time to."""
        due = iteration % self.job.validate_every == 0 or iteration == self.settings.iterations
        scores = self._validated() if due else None
        rate = self.settings.rate_at(iteration)
        step = Step(iteration, loss, rate, scores.mean_iou if scores else None)
        state.note(step, scores, self.module)
        if self.ranks.is_first and (scores or iteration % self.job.checkpoint_every == 0):
            self._keep(state)
        return Progress(iteration, self.settings.iterations, loss, rate, scores)

    def _keep(self, state: Checkpoint) -> None:
        state.weights = dict(self.module.state_dict())
        state.optimizer = self.stepper.optimizer.state_dict()
        state.scaler = self.stepper.scaler.state_dict()
        checkpoint.write(Path(self.job.checkpoint_file), state)

    def _is_over(self, state: Checkpoint) -> bool:
        tired = 0 < self.job.patience <= state.fruitless
        return tired or state.iteration >= self.settings.iterations

    def _seed(self, iteration: int) -> int:
        """Of what the network draws, its dropout, in an iteration."""
        words = np.random.SeedSequence([self.job.seed, iteration, self.ranks.rank])
        return int(words.generate_state(1)[0])

    def _validated(self) -> Scores:
        """Each process does its part of the pairs."""
        self.ranks.align(self.module)
        found = evaluate_network(
            self.module,
            self.material.validation[self.ranks.rank :: self.ranks.size],
            self.material.normalisation,
            classes=len(self.job.legend),
            window_px=self.job.validation_px,
        )
        counts = torch.from_numpy(found.counts).to(self.job.device)
        return Scores(self.ranks.sum(counts).cpu().numpy())


def make_trainer(
    ranks: Ranks, job: TrainJob, settings: Settings, material: TrainingData, start: InitialNetwork
) -> Trainer:
    """A course from its start."""
    learner = TrainingModule(start.module, settings)
    stepper = Stepper(
        job,
        settings,
        ranks.shared(learner),
        learner.loss_weights,
        optimizer_of(settings, start.module, start.new),
        torch.amp.GradScaler(job.device, enabled=job.precision == "float16"),
        material.class_weights.to(job.device),
        ranks,
    )
    return Trainer(ranks, job, settings, material, start.module, stepper)
