"""An import: whose weights become which model file, and all that their tensors do not say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from segtasks.config.base import ModelFile, OneOrMore
from segtasks.config.legend import Legend

Names = Annotated[tuple[str, ...], OneOrMore]
Numbers = Annotated[tuple[float, ...], OneOrMore]
PositiveNumbers = Annotated[tuple[PositiveFloat, ...], OneOrMore]


class ImportJob(BaseModel):
    """Foreign weights in, model file out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(min_length=1, description="path or url of the foreign weights")
    layout: str = Field(description="who spelt the keys, e.g. semseg, mmseg, torchvision, caffe")
    network: str = Field(description="our name of the network, e.g. pspnet50")
    legend: Legend = Field(min_length=2)
    to: ModelFile = Field(min_length=1, description="model file to write, .safetensors")
    bands: Names | None = Field(
        default=None, description="names of the bands as our network takes them; three: RGB"
    )
    mean: Numbers | None = Field(
        default=None, description="per band, as --bands; default: the layout's"
    )
    std: PositiveNumbers | None = Field(
        default=None, description="per band, as --bands; default: the layout's"
    )
    input_dtype: str = Field(
        default="uint8", description="numpy name of the dtype that mean and std are in units of"
    )
    width: PositiveFloat = Field(default=1.0, description="multiplier of all channel counts")
    variant: dict[str, bool | int | float | str] = Field(
        default={}, description="options beyond those of the layout, e.g. {at_once: true}"
    )
    licence: str = Field(default="unknown: set it to that of the weights", min_length=1)
    ground_resolution_m: PositiveFloat | None = None
    weights_dtype: Literal["float32", "float16"] = Field(
        default="float32", description="how the weights rest in the file"
    )
    note: str = Field(default="", description="kept in the card, e.g. where the weights are from")
