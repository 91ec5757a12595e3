"""One step of training (loss, gradient, update) over the parts of a batch and over processes."""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, ModelError
from segtasks.training.crops import Crop
from segtasks.training.distributed import Ranks
from segtasks.training.losses import loss_of, mass_of
from segtasks.training.recipes import Settings

RATE_FACTOR = "rate_factor"
"""Key of a group of parameters: its learning rate as a multiple of the schedule's."""
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def optimizer_of(
    settings: Settings, module: nn.Module, new: Iterable[str]
) -> torch.optim.Optimizer:
    """Create the optimizer; biases and BatchNorm have no weight decay, as in the papers' solvers.

    Args:
        settings: the learning rates.
        module: the network.
        new: keys of the parameters whose learning rate is multiplied by ``head_factor``.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    heads = set(new)
    for name, parameter in module.named_parameters():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        factor = settings.head_factor if name in heads else 1.0
        factor *= settings.bias_factor if name.endswith("bias") else 1.0
        groups.setdefault((decay, factor), []).append(parameter)
    options = [
        {"params": parameters, "weight_decay": decay, RATE_FACTOR: factor}
        for (decay, factor), parameters in groups.items()
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(options, lr=settings.learning_rate)
    return torch.optim.SGD(options, lr=settings.learning_rate, momentum=settings.momentum)


@dataclass(frozen=True)
class Stepper:
    """Updates a network, one batch at a time.

    The loss is the mean over the labelled pixels of the whole batch, so that cross entropy depends
    neither on the number of parts nor on the number of processes.
    """

    job: TrainJob
    settings: Settings
    model: nn.Module
    """A `TrainingModule`, which may be wrapped to average gradients over processes."""
    loss_weights: tuple[float, ...]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    class_weights: Tensor
    ranks: Ranks

    @torch.enable_grad()
    def step(self, batch: Crop, iteration: int) -> float:
        """Update the weights with this process's part of a batch; return the batch's loss.

        Raises:
            ModelError: the loss or its gradient is not finite.
            JobError: the parts of a batch are too small for BatchNorm.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate_at(iteration) * group[RATE_FACTOR]
        images, labels = (part.to(self.job.device, non_blocking=True) for part in batch)
        total = self.ranks.sum(mass_of(labels, self.class_weights)).clamp(min=1)
        self.optimizer.zero_grad()
        parts = list(zip(*(x.chunk(self.job.accumulate) for x in (images, labels)), strict=True))
        losses = [
            self._backward(part, total, last=number == len(parts))
            for number, part in enumerate(parts, start=1)
        ]
        return self._update(self.ranks.sum(torch.stack(losses).sum()).item())

    def _backward(self, part: Crop, total: Tensor, *, last: bool) -> Tensor:
        """Add the gradient of a part's loss; with the last part, processes average gradients."""
        images, labels = part
        dtype = _DTYPES[self.job.precision]
        with self._local_gradients(last=last):
            with torch.autocast(self.job.device, dtype, enabled=dtype != torch.float32):
                heads = self._heads(images.contiguous(memory_format=torch.channels_last))
            share = mass_of(labels, self.class_weights) / total
            loss = self._loss(heads, labels) * share
            # The shares add up to 1, but DistributedDataParallel averages over processes.
            self.scaler.scale(loss * self.ranks.size).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _heads(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute all logits that have a loss."""
        try:
            heads: tuple[Tensor, ...] = self.model(images)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise JobError(
                f"{len(images)} crop in a part: BatchNorm needs more than one value per channel; "
                "use a smaller `accumulate`, a larger `batch` or `crop_px`"
            ) from None
        return heads

    def _local_gradients(self, *, last: bool) -> AbstractContextManager[None]:
        """Do not average gradients over processes in the block, unless it is the last part."""
        if last or not isinstance(self.model, DistributedDataParallel):
            return nullcontext()
        return self.model.no_sync()

    def _loss(self, heads: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        job = self.job
        losses = [
            weight * loss_of(logits, labels, self.class_weights, job.ignore, job.loss)
            for weight, logits in zip(self.loss_weights, heads, strict=True)
        ]
        return torch.stack(losses).sum()

    def _update(self, value: float) -> float:
        self.scaler.unscale_(self.optimizer)
        length = nn.utils.clip_grad_norm_(self.model.parameters(), self.job.gradient_norm).item()
        # A scaler tries factors that are too large, and skips the step if gradients overflow.
        is_sound = math.isfinite(value if self.scaler.is_enabled() else value + length)
        if not is_sound:
            # oneDNN's bfloat16 gradient of dilated convolutions can be NaN at a finite loss.
            raise ModelError(
                f"loss is {value:.3g}, gradient {length:.3g}: training diverged; lower "
                "learning_rate"
                f"{', or use precision float32' if self.job.precision != 'float32' else ''}"
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value
