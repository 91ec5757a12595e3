"""The complete settings of a training: those of the job, and the rest from a recipe. No torch.

The recipe `paper` is the published one (`network_spec.Recipe`), for networks that start from
trained weights. The recipe `scratch` is that of segtasks for narrow networks that start from random
weights, for which SGD at a paper's rate would need ImageNet weights. It uses AdamW with rate 2e-3
and weight decay 0.01 (Loshchilov & Hutter 2019).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from segtasks.config.train_job import Policy, TrainJob
from segtasks.config.train_job import Recipe as RecipeName
from segtasks.errors import JobError
from segtasks.networks.card import Card
from segtasks.networks.network_spec import NetworkSpec, Option
from segtasks.networks.registry import spec
from segtasks.training.init_file import init_card

WHOLE_IMAGE_PX = 512
"""Size of crops if the paper used whole images, which have at most 500 px in PASCAL VOC."""
ITERATIONS = 20_000
"""Number of iterations if the source states none."""
STEP, STEPS = 0.1, 3
"""The step policy, as in DeepLab v1, which multiplies by 0.1 every 2000 of 6000 iterations."""
_TRAINING_OPTIONS: Mapping[str, bool] = {"batch_norm": True, "auxiliary": True}
"""Options that improve training, and are not in the published network or used only in training."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained, with the names of `TrainJob` and a value for each of them."""

    recipe: RecipeName
    source: str
    """Source of the recipe's settings."""
    width: float
    variant: Mapping[str, Option]
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float
    policy: Policy
    power: float
    momentum: float
    weight_decay: float
    head_factor: float
    bias_factor: float
    auxiliary_weight: float
    loss_scales: tuple[float, ...]
    crop_px: int
    batch: int
    iterations: int

    def rate_at(self, iteration: int) -> float:
        """Return the learning rate of an iteration, counted from 1."""
        done = (iteration - 1) / self.iterations
        if self.policy == "poly":  # Liu et al. 2015; DeepLab v2, sec. 4.1
            return float(self.learning_rate * (1 - done) ** self.power)
        if self.policy == "step":
            return float(self.learning_rate * STEP ** int(STEPS * done))
        return self.learning_rate

    def lines(self, job: TrainJob) -> list[str]:
        """Return the settings as lines of text, with those that only the job has."""
        chosen = ", ".join(f"{key}={value}" for key, value in self.variant.items())
        policy = f"poly {self.power:g}" if self.policy == "poly" else self.policy
        momentum = f", momentum {self.momentum:g}" if self.optimizer == "sgd" else ""
        threads = f", threads {job.threads}" if job.threads else ""
        return [
            f"network    {job.network}, width {self.width:g}, {chosen or 'as published'}",
            f"recipe     {self.recipe} ({self.source})",
            (
                f"optimizer  {self.optimizer}, learning rate {self.learning_rate:g} ({policy}; new "
                f"layers x{self.head_factor:g}, biases x{self.bias_factor:g}){momentum}, weight "
                f"decay {self.weight_decay:g}"
            ),
            f"loss       {job.loss}, classes {job.class_weights}{self._heads()}",
            (
                f"crops      {self.batch} of {self.crop_px} px an iteration, {self.iterations} "
                f"iterations, {job.precision} on {job.processes} {job.device}{threads}"
            ),
        ]

    def _heads(self) -> str:
        """Describe the logits that have a loss besides the network's own."""
        auxiliary = self.variant.get("auxiliary") and f", auxiliary x{self.auxiliary_weight:g}"
        several = self.loss_scales != (1.0,)
        scales = ", ".join(f"{scale:g}" for scale in self.loss_scales)
        return f"{auxiliary or ''}{f', at scales {scales} and their maximum' if several else ''}"


def settings_of(job: TrainJob) -> Settings:
    """Complete the settings of a job.

    Raises:
        ModelError: the network is unknown, or the file ``init`` does not exist.
        JobError: the parts of a batch would have different sizes.
    """
    network, card = spec(job.network), init_card(job.init) if job.init else None
    name = job.recipe or _default_recipe(job, card)
    open_fields = {field.name for field in fields(Settings)} & TrainJob.model_fields.keys()
    given = {key: getattr(job, key) for key in open_fields if getattr(job, key) is not None}
    preset = _paper(network) if name == "paper" else _scratch(network)
    variant = _variant(job, card, network, name) | job.variant
    width = card.width if card else preset["width"]
    chosen = {**preset, "width": width} | given | {"recipe": name, "variant": variant}
    settings = Settings(**chosen)
    _check_parts(job, settings.batch)
    return settings


def _default_recipe(job: TrainJob, card: Card | None) -> RecipeName:
    """Return the recipe of a model file's card, else `paper` with initial weights or `scratch`."""
    of_card = card.provenance.get("recipe") if card else None
    known: dict[object, RecipeName] = {"paper": "paper", "scratch": "scratch"}
    return known.get(of_card, "paper" if job.init else "scratch")


def _paper(network: NetworkSpec) -> dict[str, Any]:
    recipe = network.recipe
    return {
        "source": recipe.source,
        "width": 1.0,
        "optimizer": "sgd",
        "learning_rate": recipe.learning_rate,
        "policy": recipe.policy,
        "power": 0.9,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
        "head_factor": recipe.head_factor,
        "bias_factor": recipe.bias_factor,
        "auxiliary_weight": recipe.auxiliary_weight,
        "loss_scales": recipe.loss_scales,
        "crop_px": recipe.crop_px or WHOLE_IMAGE_PX,
        "batch": recipe.batch,
        "iterations": recipe.iterations or ITERATIONS,
    }


def _scratch(network: NetworkSpec) -> dict[str, Any]:
    """Return the recipe for random weights; the weight of an auxiliary head is the paper's."""
    return {
        **_paper(network),
        "source": "ours, for random weights",
        "width": 0.25,
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "policy": "poly",
        "weight_decay": 0.01,
        "head_factor": 1.0,
        "bias_factor": 1.0,
        "loss_scales": (1.0,),
        "crop_px": 256,
        "batch": 8,
        "iterations": 2000,
    }


def _variant(
    job: TrainJob, card: Card | None, network: NetworkSpec, name: RecipeName
) -> dict[str, Option]:
    """Return default options: those of init if it is the same network, else for training."""
    if card and card.network == job.network:
        return dict(card.variant)
    chosen = {key: value for key, value in _TRAINING_OPTIONS.items() if key in network.options}
    if name == "paper":  # the published weights have no BatchNorm
        chosen.pop("batch_norm", None)
    return dict(chosen)


def _check_parts(job: TrainJob, batch: int) -> None:
    parts = job.accumulate * job.processes
    if batch % parts:
        raise JobError(
            f"batch {batch} does not divide into {job.processes} processes x {job.accumulate} "
            f"parts (`accumulate`); use a batch of {-(-batch // parts) * parts}"
        )
