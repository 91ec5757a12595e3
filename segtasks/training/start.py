"""Where training begins: from random weights, or from another model file (fine-tuning)."""

import torch
from torch import nn

from segtasks.errors import JobError
from segtasks.networks.card import Card, Normalisation
from segtasks.networks.model_file import load
from segtasks.networks.registry import build
from segtasks.training.job import TrainJob


def start_network(job: TrainJob, bands: int) -> nn.Module:
    """Build the network; with ``job.start``, give it that file's weights.

    Scoring layers of another number of classes keep their random weights, as when the papers go
    from ImageNet to their own classes.

    Raises:
        ModelError: the network is unknown or the file cannot be read.
        JobError: the file holds another network.
    """
    torch.manual_seed(job.seed)
    module = build(
        job.network, classes=len(job.legend), bands=bands, width=job.width, **job.variant
    )
    if job.start:
        _take_over(module, _donor(job, bands)[0])
    module.to(job.device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # 1.6 x faster on CPUs
    return module


def start_normalisation(job: TrainJob, measured: Normalisation) -> Normalisation:
    """Return the normalisation the weights are used to: the file's, else the measured one."""
    if not job.start:
        return measured
    card = _donor(job, len(measured.mean))[1]
    if card.normalisation.dtype != measured.dtype:
        raise JobError(
            f"{job.start} was trained on {card.normalisation.dtype}, the images are "
            f"{measured.dtype}; convert them, or leave `start` out"
        )
    return card.normalisation


def _donor(job: TrainJob, bands: int) -> tuple[nn.Module, Card]:
    module, card = load(job.start or "")
    wanted = (job.network, job.width, _structure(job.variant), bands)
    found = (card.network, card.width, _structure(card.variant), len(card.bands))
    if wanted != found:
        raise JobError(
            f"{job.start} holds {card.network} of width {card.width:g}, {dict(card.variant)}, "
            f"{len(card.bands)} bands; the job wants {job.network} of width {job.width:g}, "
            f"{job.variant}, {bands} bands; make them equal"
        )
    return module, card


def _structure(variant: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
    """Return the options that shape the weights; dropout does not."""
    return {key: value for key, value in variant.items() if key != "dropout"}


def _take_over(module: nn.Module, donor: nn.Module) -> None:
    own = module.state_dict()
    fitting = {k: v for k, v in donor.state_dict().items() if v.shape == own[k].shape}
    module.load_state_dict(own | fitting)
