"""The network before training: with random weights, or with the weights of a file that fit."""

from dataclasses import dataclass

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
"""Number of left-over or new keys that the report names."""


@dataclass(frozen=True)
class InitialNetwork:
    """A network before its first iteration.

    Attributes:
        module: the network, on its device and in its memory format.
        new: keys of the parameters that are not from a file; all of them without ``init``.
        report: lines for the user on which weights of ``init`` were used.
    """

    module: nn.Module
    new: tuple[str, ...]
    report: tuple[str, ...]


def initialise_network(job: TrainJob, settings: Settings, bands: int) -> InitialNetwork:
    """Build the network, and load the weights of ``job.init`` that fit.

    Layers that do not fit, such as scoring layers with another number of classes, keep their random
    weights, as in the papers that start from ImageNet.

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
    transferred = _transfer(job, settings, bands) if job.init else None
    if transferred:
        module.load_state_dict(module.state_dict() | transferred.weights)
    module.to(job.device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # 1.6 x faster on CPUs
    if transferred is None:
        return InitialNetwork(module, tuple(dict(module.named_parameters())), ())
    return InitialNetwork(module, transferred.new, _report(job, transferred, bands))


def check_order(job: TrainJob, pair: Pair) -> None:
    """Refuse images whose bands have another order than those of the initial weights.

    Weights without a card are taken as ImageNet's. If the job chooses bands, they are not checked.

    Raises:
        JobError: the orders differ; the message names both.
    """
    card = init_card(job.init) if job.init else None
    of_init = card.bands if card else RGB
    first = pair.band_names[: len(of_init)]
    if not job.init or job.bands or len(first) < len(of_init):
        return
    if names_contradict(first, of_init):
        raise JobError(
            f"{pair.image.url}: its bands are {', '.join(pair.band_names)}, those of init "
            f"{redact_url(job.init)} {', '.join(of_init)}; choose bands in its order, e.g. --bands "
            f"{','.join(map(str, pair.bands))}"
        )


def initial_normalisation(job: TrainJob, measured: Normalisation) -> Normalisation:
    """Return the normalisation of the initial weights if it fits the images, else the measured one.

    That of a model file fits if number of bands and dtype are the same. Weights of ImageNet expect
    bands of mean 0 and standard deviation 1, which the measured normalisation gives for any images.
    """
    card = init_card(job.init) if job.init else None
    if card is None:
        return measured
    own = card.normalisation
    alike = (len(own.mean), own.dtype) == (len(measured.mean), measured.dtype)
    return own if alike else measured


def _transfer(job: TrainJob, settings: Settings, bands: int) -> Transfer:
    assert job.init is not None
    path, is_model = init_path(job.init), init_card(job.init) is not None
    return transfer(
        load(path)[0].state_dict() if is_model else read_weights(path),
        job.init,
        network=job.network,
        width=settings.width,
        variant=settings.variant,
        classes=len(job.legend),
        bands=bands,
    )


def _report(job: TrainJob, transferred: Transfer, bands: int) -> tuple[str, ...]:
    total = f"{len(transferred.weights)} tensors ({transferred.parameters:,} parameters) taken"
    spread = [f"{key} from {count} bands to {bands}" for key, count in transferred.spread.items()]
    return (
        f"init       {job.init}: {total}",
        *(f"           spread {text}" for text in spread),
        f"           left in the file: {_listed(transferred.left_over)}",
        f"           new here: {_listed(transferred.new)}",
    )


def _listed(keys: tuple[str, ...]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f"{len(keys)}: {', '.join(keys[:_NAMED])}{more}" if keys else "nothing"
