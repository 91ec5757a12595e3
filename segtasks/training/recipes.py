"""The settings a job comes to: what it says, and the rest from a recipe. Needs no torch.

`paper`: as published (`networks.entry.Recipe`), for networks that begin from trained weights.
`scratch`: ours, for narrow networks that begin from random ones, where SGD at a paper's rate needs
ImageNet weights to get anywhere: AdamW, rate 2e-3, decay 0.01 (Loshchilov & Hutter 2019).
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
"""Crops where the paper took whole images: PASCAL VOC's have 500 px at most."""
ITERATIONS = 20_000
"""Where the source states none."""
STEP, STEPS = 0.1, 3
"""The step policy: DeepLab v1 multiplies by 0.1 every 2000 of 6000 iterations."""
_TRAINS_WELL: Mapping[str, bool] = {"batch_norm": True, "auxiliary": True}
"""Options of networks that are not in the published file, or only in training."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained. The names are those of `TrainJob`, none of them open."""

    recipe: RecipeName
    source: str
    """whose settings the recipe's are"""
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
        """Learning rate of an iteration, counted from 1."""
        done = (iteration - 1) / self.iterations
        if self.policy == "poly":  # Liu et al. 2015; DeepLab v2, sec. 4.1
            return float(self.learning_rate * (1 - done) ** self.power)
        if self.policy == "step":
            return float(self.learning_rate * STEP ** int(STEPS * done))
        return self.learning_rate

    def lines(self, job: TrainJob) -> list[str]:
        """The settings for people, with what the job settles itself."""
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
        """What has a loss beside the logits."""
        auxiliary = self.variant.get("auxiliary") and f", auxiliary x{self.auxiliary_weight:g}"
        several = self.loss_scales != (1.0,)
        scales = ", ".join(f"{scale:g}" for scale in self.loss_scales)
        return f"{auxiliary or ''}{f', at scales {scales} and their maximum' if several else ''}"


def settings_of(job: TrainJob) -> Settings:
    """Settle what the job leaves open.

    Raises:
        ModelError: the network is unknown, or there is no file ``init``.
        JobError: parts of a batch would not be of one size.
    """
    found, card = spec(job.network), init_card(job.init) if job.init else None
    name = job.recipe or _usual(job, card)
    open_fields = {field.name for field in fields(Settings)} & TrainJob.model_fields.keys()
    said = {key: getattr(job, key) for key in open_fields if getattr(job, key) is not None}
    preset = _paper(found) if name == "paper" else _scratch(found)
    variant = _variant(job, card, found, name) | job.variant
    width = card.width if card else preset["width"]
    chosen = {**preset, "width": width} | said | {"recipe": name, "variant": variant}
    settings = Settings(**chosen)
    _check_parts(job, settings.batch)
    return settings


def _usual(job: TrainJob, card: Card | None) -> RecipeName:
    """The recipe by which a model file was made; else the paper's for weights, ours for none."""
    own = card.provenance.get("recipe") if card else None
    known: dict[object, RecipeName] = {"paper": "paper", "scratch": "scratch"}
    return known.get(own, "paper" if job.init else "scratch")


def _paper(found: NetworkSpec) -> dict[str, Any]:
    recipe = found.recipe
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


def _scratch(found: NetworkSpec) -> dict[str, Any]:
    """Ours; an auxiliary head weighs what its paper says."""
    return {
        **_paper(found),
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
    job: TrainJob, card: Card | None, found: NetworkSpec, name: RecipeName
) -> dict[str, Option]:
    """Options nobody gave: init's, if it is the same network; else those that train well."""
    if card and card.network == job.network:
        return dict(card.variant)
    chosen = {key: value for key, value in _TRAINS_WELL.items() if key in found.options}
    if name == "paper":  # its weights know no BatchNorm
        chosen.pop("batch_norm", None)
    return dict(chosen)


def _check_parts(job: TrainJob, batch: int) -> None:
    parts = job.accumulate * job.processes
    if batch % parts:
        raise JobError(
            f"batch {batch} does not divide into {job.processes} processes x {job.accumulate} "
            f"parts (`accumulate`); use a batch of {-(-batch // parts) * parts}"
        )
