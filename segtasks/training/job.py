"""A training job: everything that decides what comes out, and nothing else."""

from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from segtasks.networks.card import ClassEntry
from segtasks.training.legend import LabelRules
from segtasks.training.sources import Source

Share = Annotated[float, Field(ge=0, lt=1)]


class Augmentation(BaseModel):
    """How crops are varied; each is drawn anew for every crop, with the job's seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class TrainJob(BaseModel):
    """Labels in, model file out. The same job gives the same weights on the same machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[Source, ...] = Field(min_length=1)
    validation: tuple[Source, ...] = Field(min_length=1)
    legend: tuple[ClassEntry, ...] = Field(min_length=2)
    out: str = Field(min_length=1, description="model file to write, .safetensors")
    network: str = "fcn8s_lean"
    width: PositiveFloat = 0.25
    variant: dict[str, bool | int | float | str] = Field(default={"batch_norm": True})
    start: str | None = Field(
        default=None, description="model file whose weights to begin from; none: random weights"
    )
    bands: tuple[PositiveInt, ...] | None = Field(
        default=None, description="bands of the file, 1-based; all but alpha by default"
    )
    ignore: int = Field(default=255, ge=0, le=255, description="label that is no class")
    labels: LabelRules = LabelRules()
    crop_px: PositiveInt = 256
    batch: PositiveInt = 8
    iterations: PositiveInt = 2000
    optimizer: Literal["sgd", "adamw"] = Field(
        default="sgd", description="sgd: momentum 0.9, as the papers; adamw: quicker from scratch"
    )
    learning_rate: PositiveFloat = 0.01
    power: PositiveFloat = Field(default=0.9, description="poly policy: rate x (1 - done)^power")
    weight_decay: float = Field(default=5e-4, ge=0)
    gradient_norm: PositiveFloat = Field(
        default=5.0, description="longer gradients are cut to this"
    )
    class_weights: Literal["equal", "median_frequency"] = "equal"
    augmentation: Augmentation = Augmentation()
    validate_every: PositiveInt = Field(default=250, description="iterations")
    validation_px: PositiveInt = Field(default=1024, description="side of validation windows")
    seed: int = Field(default=0, ge=0, lt=2**31)
    device: Literal["cpu", "cuda"] = "cpu"
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of the convolutions while training; weights stay float32"
    )
    weights_dtype: Literal["float32", "float16"] = Field(
        default="float32", description="how the weights rest in the file"
    )
    ground_resolution_m: PositiveFloat | None = None
    licence: str = Field(default="unknown: set it to that of the labels", min_length=1)
    note: str = Field(default="", description="kept in the card, e.g. the command that was run")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        ids = [entry.id for entry in self.legend]
        if ids != list(range(len(ids))):
            raise ValueError(f"legend ids are {ids}; number them 0 … {len(ids) - 1} in order")
        if self.ignore < len(ids):
            raise ValueError(f"ignore is {self.ignore}, a class; choose {len(ids)} … 255")
        if PurePath(self.out).suffix != ".safetensors":
            raise ValueError(f"out is {self.out!r}; end it with .safetensors")
        return self
