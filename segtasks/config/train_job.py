"""The job that trains a network."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from segtasks.config.base import ConfigModel, ModelFile, OneOrMore
from segtasks.config.label_sources import Source
from segtasks.config.legend import LabelRules, Legend
from segtasks.raster.labels import NODATA

Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Recipe = Literal["paper", "scratch"]
Policy = Literal["fixed", "step", "poly"]
Scales = Annotated[tuple[PositiveFloat, ...], Field(min_length=1), OneOrMore]
Loss = Literal["cross_entropy", "dice", "lovasz", "cross_entropy+dice", "cross_entropy+lovasz"]


class Augmentation(ConfigModel):
    """Random changes of the crops, drawn again for every crop from the seed of the job."""

    turns: bool = Field(default=True, description="Flips and quarter turns, all eight.")
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(1.0, 1.0), description="Smallest and largest magnification."
    )
    brightness: Share = Field(
        default=0.1,
        description="Largest shift of all bands together, in units of two standard deviations.",
    )
    contrast: Share = Field(
        default=0.1, description="Largest change of contrast, relative: 0.1 is +-10 %."
    )
    colour: Share = Field(
        default=0.05, description="Largest shift of each band by itself, in units as brightness."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            low, high = self.scale
            raise ValueError(f"scale is {low:g}, {high:g}; put the smaller magnification first")
        return self


class TrainJob(ConfigModel):
    """Train a network on labelled images and write a model file.

    The same job gives the same weights on the same machine.
    """

    sources: tuple[Source, ...] = Field(
        min_length=1, description="Images and labels to train on: pairs, or files that list them."
    )
    validation: tuple[Source, ...] = Field(
        min_length=1,
        description="Images and labels that the best iteration is chosen by: pairs, or files that "
        "list them.",
    )
    legend: Legend = Field(min_length=2, description="Classes in the order of their ids, from 0.")
    to: ModelFile = Field(
        min_length=1, title="Model file", description="Model file to write, .safetensors."
    )
    network: str = Field(
        default="fcn8s_lean", description="A network of docs/networks.md, e.g. segnet, pspnet50."
    )
    width: PositiveFloat | None = Field(
        default=None,
        description="Multiplier of the channel counts. Default: that of init, else 1 with the "
        "recipe paper and 0.25 with scratch.",
    )
    variant: dict[str, bool | int | float | str] = Field(
        default={},
        description="Options of the network, {name: value}. They override those of init, or those "
        "that suit training.",
    )
    init: str | None = Field(
        default=None,
        description="Initial weights: a model file, or a VGG16 or ResNet trained on ImageNet "
        "(.pth …). Default: random weights.",
    )
    bands: tuple[PositiveInt, ...] | None = Field(
        default=None,
        description="Bands of the images, counted from 1. Default: all bands except alpha.",
    )
    ignore: int = Field(
        default=NODATA, ge=0, le=255, description="Label value that stands for no class."
    )
    labels: LabelRules = LabelRules()
    recipe: Recipe | None = Field(
        default=None,
        description="Sets the training settings that are not given. Default: the recipe of init, "
        "else paper with init and scratch without.",
    )
    crop_px: PositiveInt | None = Field(
        default=None, description="Side of the crops in pixels. Default: from the recipe."
    )
    batch: PositiveInt | None = Field(
        default=None, description="Crops per iteration. Default: from the recipe."
    )
    iterations: PositiveInt | None = Field(
        default=None, description="Number of iterations. Default: from the recipe."
    )
    optimizer: Literal["sgd", "adamw"] | None = Field(
        default=None,
        description="Optimizer. Default: from the recipe (paper: sgd; scratch: adamw).",
    )
    learning_rate: PositiveFloat | None = Field(
        default=None, description="Initial learning rate. Default: from the recipe."
    )
    policy: Policy | None = Field(
        default=None,
        description="Learning-rate schedule. step: x 0.1 after each third of the iterations. poly: "
        "see power. Default: from the recipe.",
    )
    power: PositiveFloat | None = Field(
        default=None,
        description="Exponent of the poly schedule: rate x (1 - iteration / iterations)^power. "
        "Default: from the recipe, 0.9 by default.",
    )
    momentum: Share | None = Field(
        default=None, description="Momentum of sgd. Default: from the recipe."
    )
    weight_decay: NotNegative | None = Field(
        default=None, description="Weight decay. Default: from the recipe."
    )
    head_factor: PositiveFloat | None = Field(
        default=None,
        description="Multiplier of the learning rate in layers that are not initialised by init. "
        "Default: from the recipe.",
    )
    bias_factor: PositiveFloat | None = Field(
        default=None,
        description="Multiplier of the learning rate of biases. Default: from the recipe.",
    )
    auxiliary_weight: NotNegative | None = Field(
        default=None, description="Weight of the auxiliary head's loss. Default: from the recipe."
    )
    loss_scales: Scales | None = Field(
        default=None,
        description="Scales of the image that get a loss each, and one for their maximum. Default: "
        "from the recipe.",
    )
    loss: Loss = Field(default="cross_entropy", description="Loss function. +: the sum of both.")
    class_weights: Literal["equal", "median_frequency"] = Field(
        default="equal",
        description="Class weights of the loss. median_frequency: rare classes weigh more.",
    )
    gradient_norm: PositiveFloat = Field(
        default=5.0, description="Gradients are clipped to this norm."
    )
    accumulate: PositiveInt = Field(
        default=1,
        description="Number of parts in which a batch is forwarded, to save memory; their "
        "gradients are accumulated.",
    )
    augmentation: Augmentation = Augmentation()
    validate_every: PositiveInt = Field(default=250, description="Iterations between validations.")
    validation_px: PositiveInt = Field(
        default=1024, description="Side of the validation windows in pixels."
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Training stops after this many validations without a better mean IoU. 0: "
        "never.",
    )
    checkpoint: str | None = Field(
        default=None,
        description="Checkpoint file, from which the job resumes after an interruption. Default: "
        "the model file's name with .checkpoint appended.",
    )
    checkpoint_every: PositiveInt = Field(
        default=100, description="Iterations between checkpoints."
    )
    fresh: bool = Field(
        default=False, description="Discard an existing checkpoint and start from the beginning."
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        description="Random seed of crops, augmentation and initial weights.",
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Device on which the network is trained."
    )
    processes: PositiveInt = Field(
        default=1,
        description="Number of processes that share each batch; with cuda each has its own GPU.",
    )
    threads: PositiveInt | None = Field(
        default=None,
        description="CPU threads of each process; the weights depend on it. Default: cores / "
        "processes.",
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32",
        description="Precision of the convolutions during training; weights stay float32. float16 "
        "needs cuda.",
    )
    weights_dtype: Literal["float32", "float16"] = Field(
        default="float32", description="Data type of the weights in the file."
    )
    ground_resolution_m: PositiveFloat | None = Field(
        default=None,
        description="Pixel size in metres for which the network is trained; georeferenced images "
        "are resampled to it. Default: images are used as they are.",
    )
    licence: str = Field(
        default="unknown: set it to that of the labels",
        min_length=1,
        description="Licence, kept in the card, with the attribution that the images and labels "
        "require.",
    )
    note: str = Field(
        default="", description="Text kept in the card, e.g. the command that was run."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        count = len(self.legend)
        if self.ignore < count:
            raise ValueError(f"ignore is {self.ignore}, the id of a class; choose {count} … 255")
        if self.precision == "float16" and self.device == "cpu":
            raise ValueError("precision float16 needs device cuda; use bfloat16 or float32")
        return self

    @property
    def checkpoint_file(self) -> str:
        """Where training is kept until the model file is written."""
        return self.checkpoint or f"{self.to}.checkpoint"
