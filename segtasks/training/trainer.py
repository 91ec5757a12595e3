"""The iterations of training (crops, step, validation, checkpoint), the same in each process.

The random numbers of an iteration depend only on (seed, iteration, process), so a training that was
killed and resumed gives the same weights as one that was not.
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
    """The results of one iteration."""

    iteration: int
    iterations: int
    loss: float
    learning_rate: float
    scores: Scores | None
    """Only if there was a validation."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Trainer:
    """Trains one network.

    Attributes:
        ranks: the rank of this process.
        job: the settings of the user.
        settings: the complete settings.
        data: the training data.
        module: the network.
        stepper: updates the network.
    """

    ranks: Ranks
    job: TrainJob
    settings: Settings
    data: TrainingData
    module: nn.Module
    stepper: Stepper

    def resume(self, state: Checkpoint) -> None:
        """Load the state of a checkpoint into network and optimizer."""
        self.module.load_state_dict(state.weights)
        self.stepper.optimizer.load_state_dict(state.optimizer)
        self.stepper.scaler.load_state_dict(state.scaler)

    def run(self, state: Checkpoint, on_progress: OnProgress) -> None:
        """Train from ``state``, which is updated, to the end."""
        if self._is_over(state):
            return
        todo = range(state.iteration + 1, self.settings.iterations + 1)
        data, settings = self.data, self.settings
        cropper = Cropper(
            data.training,
            data.normalisation,
            self.job,
            settings.crop_px,
            settings.batch,
            self.ranks,
        )
        with cropper.batches(todo) as batches:
            for iteration, batch in zip(todo, batches, strict=True):
                # The random numbers of the network itself, i.e. of its dropout.
                entropy = [self.job.seed, iteration, self.ranks.rank]
                torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
                progress = self._finish(state, iteration, self.stepper.step(batch, iteration))
                on_progress(progress)
                if progress.scores and self._is_over(state):
                    break

    def _finish(self, state: Checkpoint, iteration: int, loss: float) -> Progress:
        """Record the iteration; validate and write a checkpoint if it is time to."""
        is_due = iteration % self.job.validate_every == 0 or iteration == self.settings.iterations
        scores = self._validate() if is_due else None
        rate = self.settings.rate_at(iteration)
        step = Step(iteration, loss, rate, scores.mean_iou if scores else None)
        state.record(step, scores, self.module)
        if self.ranks.is_first and (scores or iteration % self.job.checkpoint_every == 0):
            self._write_checkpoint(state)
        return Progress(iteration, self.settings.iterations, loss, rate, scores)

    def _write_checkpoint(self, state: Checkpoint) -> None:
        state.weights = dict(self.module.state_dict())
        state.optimizer = self.stepper.optimizer.state_dict()
        state.scaler = self.stepper.scaler.state_dict()
        checkpoint.write(Path(self.job.checkpoint_file), state)

    def _is_over(self, state: Checkpoint) -> bool:
        is_out_of_patience = 0 < self.job.patience <= state.validations_since_best
        return is_out_of_patience or state.iteration >= self.settings.iterations

    def _validate(self) -> Scores:
        """Compute the metrics of the validation pairs, of which each process does a part."""
        self.ranks.align(self.module)
        scores = evaluate_network(
            self.module,
            self.data.validation[self.ranks.rank :: self.ranks.size],
            self.data.normalisation,
            classes=len(self.job.legend),
            window_px=self.job.validation_px,
        )
        counts = torch.from_numpy(scores.counts).to(self.job.device)
        return Scores(self.ranks.sum(counts).cpu().numpy())


def make_trainer(
    ranks: Ranks, job: TrainJob, settings: Settings, data: TrainingData, initial: InitialNetwork
) -> Trainer:
    """Create the trainer of a network."""
    module = TrainingModule(initial.module, settings)
    stepper = Stepper(
        job,
        settings,
        ranks.shared(module),
        module.loss_weights,
        optimizer_of(settings, initial.module, initial.new),
        torch.amp.GradScaler(job.device, enabled=job.precision == "float16"),
        data.class_weights.to(job.device),
        ranks,
    )
    return Trainer(ranks, job, settings, data, initial.module, stepper)
