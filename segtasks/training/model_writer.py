"""Write the model file of a training: weights, card and provenance."""

from pathlib import PurePath

import torch
from torch import nn

from segtasks.config.label_sources import Source
from segtasks.config.train_job import TrainJob
from segtasks.errors import redact_url
from segtasks.networks.card import Card
from segtasks.networks.model_file import make_card, save
from segtasks.training.checkpoint import Best
from segtasks.training.crops import sample_tiles
from segtasks.training.dataset import TrainingData
from segtasks.training.recipes import Settings


def write_model(
    job: TrainJob,
    settings: Settings,
    module: nn.Module,
    data: TrainingData,
    best: Best,
) -> Card:
    """Write ``job.to``; return the card as written.

    Args:
        job: the settings of the user.
        settings: the complete settings.
        module: the trained network.
        data: the training data.
        best: the validation to which the weights belong.
    """
    normalisation = data.normalisation
    # safetensors writes arrays in memory order, so channels_last is converted back here.
    module.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    card = make_card(
        module,
        samples=sample_tiles(data.validation, normalisation),
        network=job.network,
        classes=job.legend,
        bands=data.training[0].band_names,
        normalisation=normalisation,
        licence=job.licence,
        width=settings.width,
        variant=settings.variant,
        ground_resolution_m=data.ground_resolution_m,
        provenance=_provenance(job, settings, best),
    )
    return save(job.to, module, card, dtype=job.weights_dtype)


def _provenance(
    job: TrainJob, settings: Settings, best: Best
) -> dict[str, str | int | float | None]:
    names = [entry.name for entry in job.legend]
    return {
        "sources": _listed(job.sources),
        "validation": _listed(job.validation),
        "init": PurePath(redact_url(job.init)).name if job.init else None,
        "note": job.note,
        "seed": job.seed,
        "recipe": settings.recipe,
        "iterations": settings.iterations,
        "best_iteration": best.iteration,
        "optimizer": settings.optimizer,
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "loss": job.loss,
        "class_weights": job.class_weights,
        "crop_px": settings.crop_px,
        "batch": settings.batch,
        "torch": torch.__version__,
        "threads": job.threads,
        **{f"validation_{key}": value for key, value in best.scores.table(names).items()},
    }


def _listed(sources: tuple[Source, ...]) -> str:
    """List names without folders, since a model file is passed on to others."""
    return ", ".join(PurePath(redact_url(source.origin)).name for source in sources)
