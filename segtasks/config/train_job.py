"""A training job: everything that decides what comes out, and nothing else."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from segtasks.config.base import ConfigModel, ModelFile, OneOrMore
from segtasks.config.label_sources import Source
from segtasks.config.legend import LabelRules, Legend

Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Recipe = Literal["paper", "scratch"]
Policy = Literal["fixed", "step", "poly"]
Scales = Annotated[tuple[PositiveFloat, ...], Field(min_length=1), OneOrMore]
Loss = Literal["cross_entropy", "dice", "lovasz", "cross_entropy+dice", "cross_entropy+lovasz"]


class Augmentation(ConfigModel):
    """How crops are varied; each is drawn anew for every crop, with the job's seed."""

    turns: bool = Field(default=True, description="the eight flips and quarter turns")
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(1.0, 1.0), description="least and greatest magnification"
    )
    brightness: Share = Field(default=0.1, description="greatest shift, in standard deviations x 2")
    contrast: Share = Field(default=0.1, description="greatest change of contrast, a share")
    colour: Share = Field(default=0.05, description="the same as brightness, per band")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {self.scale} falls; put the least magnification first")
        return self


class TrainJob(ConfigModel):
    """Labels in, model file out. The same job gives the same weights on the same machine."""

    sources: tuple[Source, ...] = Field(
        min_length=1, description="images and labels to learn from: pairs, or files that list them"
    )
    validation: tuple[Source, ...] = Field(
        min_length=1, description="the same, to choose the best iteration by"
    )
    legend: Legend = Field(min_length=2, description="classes in the order of their ids, from 0 on")
    to: ModelFile = Field(min_length=1, description="model file to write, .safetensors")
    network: str = Field(
        default="fcn8s_lean", description="a name of docs/networks.md, e.g. segnet, pspnet50"
    )
    width: PositiveFloat | None = Field(
        default=None, description="multiplier of channels; none: init's, 1 by a paper, else 0.25"
    )
    variant: dict[str, bool | int | float | str] = Field(
        default={},
        description="options of the network, {name: value}, over init's or those that train well",
    )
    init: str | None = Field(
        default=None,
        description="weights to begin from: a model file, or an ImageNet VGG16 or ResNet (.pth …)",
    )
    bands: tuple[PositiveInt, ...] | None = Field(
        default=None, description="bands of the file, 1-based; all but alpha by default"
    )
    ignore: int = Field(default=255, ge=0, le=255, description="label that is no class")
    labels: LabelRules = LabelRules()
    recipe: Recipe | None = Field(
        default=None,
        description="whose settings are those not given; none: init's, else paper with init",
    )
    crop_px: PositiveInt | None = Field(default=None, description="side; none: the recipe's")
    batch: PositiveInt | None = Field(default=None, description="crops; none: the recipe's")
    iterations: PositiveInt | None = Field(default=None, description="none: the recipe's")
    optimizer: Literal["sgd", "adamw"] | None = Field(
        default=None, description="none: the recipe's (paper: sgd; scratch: adamw)"
    )
    learning_rate: PositiveFloat | None = Field(default=None, description="none: the recipe's")
    policy: Policy | None = Field(
        default=None, description="of the learning rate; step: x 0.1 at each third of the way"
    )
    power: PositiveFloat | None = Field(
        default=None, description="poly policy: rate x (1 - done)^power [0.9]"
    )
    momentum: Share | None = Field(default=None, description="of sgd; none: the recipe's")
    weight_decay: NotNegative | None = Field(default=None, description="none: the recipe's")
    head_factor: PositiveFloat | None = Field(
        default=None, description="learning rate x this in layers that init does not fill"
    )
    bias_factor: PositiveFloat | None = Field(
        default=None, description="learning rate of biases x this; none: the recipe's"
    )
    auxiliary_weight: NotNegative | None = Field(
        default=None, description="of the auxiliary head's loss; none: the recipe's"
    )
    loss_scales: Scales | None = Field(
        default=None, description="of the image, a loss each and for their maximum; none: recipe's"
    )
    loss: Loss = Field(default="cross_entropy", description="+: the sum of both")
    class_weights: Literal["equal", "median_frequency"] = Field(
        default="equal", description="median_frequency: rare classes weigh more"
    )
    gradient_norm: PositiveFloat = Field(
        default=5.0, description="longer gradients are cut to this"
    )
    accumulate: PositiveInt = Field(
        default=1, description="parts in which a batch goes through the network, to save memory"
    )
    augmentation: Augmentation = Augmentation()
    validate_every: PositiveInt = Field(default=250, description="iterations")
    validation_px: PositiveInt = Field(default=1024, description="side of validation windows")
    patience: int = Field(
        default=0, ge=0, description="validations without a better mIoU before it ends; 0: never"
    )
    checkpoint: str | None = Field(
        default=None, description="file to resume from after a kill; none: OUT.checkpoint"
    )
    checkpoint_every: PositiveInt = Field(default=100, description="iterations")
    fresh: bool = Field(default=False, description="begin anew where there is a checkpoint")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of crops, augmentation, weights")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="what trains")
    processes: PositiveInt = Field(
        default=1, description="that share each batch; with cuda one GPU each"
    )
    threads: PositiveInt | None = Field(
        default=None,
        description="of each process on CPUs; the weights depend on it; none: cores / processes",
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="of the convolutions while training; weights stay float32"
    )
    weights_dtype: Literal["float32", "float16"] = Field(
        default="float32", description="how the weights rest in the file"
    )
    ground_resolution_m: PositiveFloat | None = Field(
        default=None,
        description="side of the network's pixels; images that know theirs are resampled to it, "
        "none: as they are",
    )
    licence: str = Field(
        default="unknown: set it to that of the labels",
        min_length=1,
        description="kept in the card, with the names that images and labels are to be given under",
    )
    note: str = Field(default="", description="kept in the card, e.g. the command that was run")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        count = len(self.legend)
        if self.ignore < count:
            raise ValueError(f"ignore is {self.ignore}, the id of a class; choose {count} … 255")
        if self.precision == "float16" and self.device == "cpu":
            raise ValueError("precision float16 is for device cuda; use bfloat16 or float32")
        return self

    @property
    def checkpoint_file(self) -> str:
        """Where training is kept until the model file is written."""
        return self.checkpoint or f"{self.to}.checkpoint"
