"""Where training begins: from random weights, or from whatever of a file fits the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, redact_url
from segtasks.networks.card import Normalisation
from segtasks.networks.importers.read_weights import read_weights
from segtasks.networks.importers.transfer import Transfer, transfer
from segtasks.networks.model_file import load
from segtasks.networks.registry import build
from segtasks.raster.band_names import RGB, names_contradict
from segtasks.training.image_pairs import Pair
from segtasks.training.init_file import init_card, init_path
from segtasks.training.recipes import Settings

_NAMED = 4
"""Keys that a report names, of those left over or new."""


@dataclass(frozen=True)
class InitialNetwork:
    """A network before its first iteration.

    Attributes:
        module: its device and memory format settled.
        new: keys of the parameters that no file filled; all without ``init``.
        report: what became of ``init``, for people.
    """

    module: nn.Module
    new: tuple[str, ...]
    report: tuple[str, ...]


def initialise_network(job: TrainJob, settings: Settings, bands: int) -> InitialNetwork:
    """Build the network; with ``job.init``, give it what fits of that file.

    Layers that do not fit, as scoring layers of another number of classes, keep their random
    weights, as when the papers go from ImageNet to their own classes.

    Raises:
        ModelError: the network is unknown, or the file cannot be read or has nothing that fits.
    """
    torch.manual_seed(job.seed)
    module = build(
        job.network,
        classes=len(job.legend),
        bands=bands,
        width=settings.width,
        **settings.variant,
    )
    found = _found(job, settings, bands) if job.init else None
    if found:
        module.load_state_dict(module.state_dict() | found.weights)
    module.to(job.device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # 1.6 x faster on CPUs
    if found is None:
        return InitialNetwork(module, tuple(dict(module.named_parameters())), ())
    return InitialNetwork(module, found.new, _report(job, found, bands))


def check_order(job: TrainJob, pair: Pair) -> None:
    """Refuse images that name their bands in another order than the weights to begin from.

    Weights without a card are ImageNet's. Bands that the job chooses are meant.

    Raises:
        JobError: naming both orders.
    """
    card = init_card(job.init) if job.init else None
    theirs = card.bands if card else RGB
    first = pair.band_names[: len(theirs)]
    if not job.init or job.bands or len(first) < len(theirs) or not names_contradict(first, theirs):
        return
    raise JobError(
        f"{pair.image.url}: its bands are {', '.join(pair.band_names)}, those of init "
        f"{redact_url(job.init)} {', '.join(theirs)}; say which stand for them, e.g. --bands "
        f"{','.join(map(str, pair.bands))}"
    )


def initial_normalisation(job: TrainJob, measured: Normalisation) -> Normalisation:
    """Return what the weights are used to, if the images are of that kind, else the measured one.

    A model file is used to its own, for the same number of bands and dtype. Weights of ImageNet are
    used to bands of mean 0 and deviation 1, which the measured one makes of any images.
    """
    card = init_card(job.init) if job.init else None
    if card is None:
        return measured
    own = card.normalisation
    alike = (len(own.mean), own.dtype) == (len(measured.mean), measured.dtype)
    return own if alike else measured


def _found(job: TrainJob, settings: Settings, bands: int) -> Transfer:
    assert job.init is not None
    return transfer(
        _weights_in(job.init),
        job.init,
        network=job.network,
        width=settings.width,
        variant=settings.variant,
        classes=len(job.legend),
        bands=bands,
    )


def _weights_in(init: str) -> Mapping[str, Any]:
    path = init_path(init)
    return load(path)[0].state_dict() if init_card(init) else read_weights(path)


def _report(job: TrainJob, found: Transfer, bands: int) -> tuple[str, ...]:
    total = f"{len(found.weights)} tensors ({found.parameters:,} parameters) taken"
    spread = [f"{key} from {count} bands to {bands}" for key, count in found.spread.items()]
    return (
        f"init       {job.init}: {total}",
        *(f"           spread {text}" for text in spread),
        f"           left in the file: {_listed(found.left_over)}",
        f"           new here: {_listed(found.new)}",
    )


def _listed(keys: tuple[str, ...]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f"{len(keys)}: {', '.join(keys[:_NAMED])}{more}" if keys else "nothing"
