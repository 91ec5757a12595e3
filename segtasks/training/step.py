"""One step of training: loss, gradient, update."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.errors import ModelError
from segtasks.training.crops import Crop
from segtasks.training.job import TrainJob

MOMENTUM = 0.9


def optimizer_of(job: TrainJob, module: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer; biases and BatchNorm do not decay, as in the papers' solvers."""
    decaying = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim == 1]
    groups = [
        {"params": decaying, "weight_decay": job.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if job.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=job.learning_rate)
    return torch.optim.SGD(groups, lr=job.learning_rate, momentum=MOMENTUM)


def loss_of(logits: Tensor, labels: Tensor, weights: Tensor, ignore: int) -> Tensor:
    """Return the weighted mean cross entropy over labelled pixels; 0 where none is labelled.

    Args:
        logits: (N, K, H, W).
        labels: (N, H, W), int64.
        weights: (K,).
        ignore: label that is no class.
    """
    total = functional.cross_entropy(
        logits, labels, weight=weights, ignore_index=ignore, reduction="sum"
    )
    known = labels[labels != ignore]
    # cross_entropy's own mean is 0 / 0 on a crop with nothing labelled.
    return total / weights[known].sum().clamp(min=1)


@torch.enable_grad()
def take_step(
    job: TrainJob, module: nn.Module, optimizer: torch.optim.Optimizer, batch: Crop, weights: Tensor
) -> float:
    """Update the weights once; return the loss.

    Raises:
        ModelError: the loss is no longer a number.
    """
    images, labels = (part.to(job.device) for part in batch)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(job.device, torch.bfloat16, enabled=job.precision == "bfloat16"):
        logits = module(images)
    loss = loss_of(logits.float(), labels, weights.to(job.device), job.ignore)
    value = loss.item()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    length = float(nn.utils.clip_grad_norm_(module.parameters(), job.gradient_norm))
    if not math.isfinite(value + length):
        # oneDNN's bfloat16 gradient of dilated convolutions can be NaN at a sound loss.
        raise ModelError(
            f"loss is {value:.3g}, gradient {length:.3g}: training diverged; lower learning_rate"
            f"{', or use precision float32' if job.precision != 'float32' else ''}"
        )
    optimizer.step()
    return value
