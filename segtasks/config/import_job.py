"""The job that converts foreign weights into a model file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from segtasks.config.base import ModelFile, OneOrMore
from segtasks.config.legend import Legend

Names = Annotated[tuple[str, ...], OneOrMore]
Numbers = Annotated[tuple[float, ...], OneOrMore]
PositiveNumbers = Annotated[tuple[PositiveFloat, ...], OneOrMore]


class ImportJob(BaseModel):
    """Convert weights from another framework or repository into a model file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(min_length=1, description="Path or URL of the weights to convert.")
    layout: str = Field(
        description="Source of the weights, which defines their key names, e.g. semseg, mmseg, "
        "torchvision, caffe."
    )
    network: str = Field(description="Name of the network in segtasks, e.g. pspnet50.")
    legend: Legend = Field(min_length=2, description="Classes in the order of their ids.")
    to: ModelFile = Field(min_length=1, description="Model file to write, .safetensors.")
    bands: Names | None = Field(
        default=None,
        description="Names of the bands in the order in which the network takes them. Default for "
        "three bands: red, green, blue.",
    )
    mean: Numbers | None = Field(
        default=None,
        description="Mean of each band, in the order of --bands. Default: that of the layout.",
    )
    std: PositiveNumbers | None = Field(
        default=None,
        description="Standard deviation of each band, in the order of --bands. Default: that of "
        "the layout.",
    )
    input_dtype: str = Field(
        default="uint8", description="NumPy dtype of the pixels to which mean and std refer."
    )
    width: PositiveFloat = Field(default=1.0, description="Multiplier of all channel counts.")
    variant: dict[str, bool | int | float | str] = Field(
        default={}, description="Network options beyond those of the layout, e.g. {at_once: true}."
    )
    licence: str = Field(
        default="unknown: set it to that of the weights",
        min_length=1,
        description="Licence of the weights, kept in the card.",
    )
    ground_resolution_m: PositiveFloat | None = Field(
        default=None, description="Pixel size in metres of the images used in training."
    )
    weights_dtype: Literal["float32", "float16"] = Field(
        default="float32", description="Data type of the weights in the file."
    )
    note: str = Field(
        default="", description="Text kept in the card, e.g. the origin of the weights."
    )
