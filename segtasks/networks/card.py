"""The card of a model: what its state dict or graph does not contain. Needs no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from segtasks.config.legend import NumberedClasses
from segtasks.errors import ModelError

METADATA_KEY = "segtasks"
"""Metadata key of the card in a model file or graph."""
Form = Literal["torchscript", "exported", "onnx"]
Gives = Literal["logits", "probabilities"]


class Normalisation(BaseModel):
    """Normalisation x = (raw - mean) / std per band; invalid pixels become 0.

    Attributes:
        mean: mean of each band, in the units of ``dtype``.
        std: standard deviation of each band, in the units of ``dtype``.
        dtype: numpy name of the dtype that the model was trained on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    dtype: str = Field("uint8", description="numpy name of the dtype the model was trained on")


class Graph(BaseModel):
    """How to run a foreign graph.

    Attributes:
        form: file format, detected from the content.
        gives: output of the graph; no softmax is applied to probabilities.
        patch_px: the only side that it takes; ``None`` if it takes multiples of ``multiple_px``.
        multiple_px: sides must be multiples of this.
        least_px: the smallest side that it takes; smaller patches are padded.
        one_by_one: whether it takes one image at a time instead of batches.
        fill: input value where there is no data, one per band; empty means 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: Form
    gives: Gives
    patch_px: PositiveInt | None
    multiple_px: PositiveInt
    least_px: PositiveInt
    one_by_one: bool
    fill: tuple[float, ...] = ()


class Card(BaseModel):
    """All that is needed to run a model, stored as JSON in its file or in a sidecar file.

    Attributes:
        network: name in the registry, or the name of a foreign graph.
        width: multiplier of the network's channel counts.
        variant: options of the network that differ from their defaults.
        classes: the legend, in the order of the output maps.
        bands: names of the input bands, in order.
        normalisation: normalisation of the input.
        ground_resolution_m: side of a pixel of the training data, metres.
        lattice_px: patches must start on multiples of this (the total stride; see docs/networks).
        output_stride: side of the input pixels that share one output unit, px.
        receptive_field_px: side of the receptive field; ``None`` if an operator is global.
        halo_px: exact halo: output pixels this far from the patch edge equal those of the forward
            pass on the whole image. ``None`` if an operator is global (no finite halo).
        effective_halo_px: half-width that holds 99 % of the squared input gradient.
        seam_halo_px: smallest halo with which at most 0.5 % of the labels next to a cut differ from
            those of the uncut image (`seam_halo`); ``None`` if it was not measured on imagery.
        forward_bytes_per_px: peak activation memory of one forward pass, bytes per input pixel.
        gmac_per_mpx: 1e9 multiply-adds per 1e6 pixels; ``None`` for foreign graphs.
        parameters: number of parameters; ``None`` for foreign graphs.
        graph: how to run a foreign graph; ``None`` for a network of the registry.
        licence: licence of the weights.
        provenance: where the weights come from.
        weights_sha256: SHA-256 of all tensors (see `weights`), or of the whole file of a graph.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    network: str
    width: PositiveFloat = 1.0
    variant: dict[str, bool | int | float | str] = Field(default_factory=dict)
    classes: NumberedClasses = Field(min_length=2)
    bands: tuple[str, ...] = Field(min_length=1)
    normalisation: Normalisation
    ground_resolution_m: PositiveFloat | None = None
    lattice_px: PositiveInt
    output_stride: PositiveInt
    receptive_field_px: PositiveInt | None
    halo_px: int | None = Field(ge=0)
    effective_halo_px: int = Field(ge=0)
    seam_halo_px: int | None = Field(None, ge=0)
    forward_bytes_per_px: PositiveInt
    gmac_per_mpx: PositiveFloat | None = None
    parameters: PositiveInt | None = None
    graph: Graph | None = None
    licence: str
    provenance: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        bands, mean, std = len(self.bands), self.normalisation.mean, self.normalisation.std
        if (len(mean), len(std)) != (bands, bands):
            raise ValueError(
                f"{bands} bands, but normalisation has {len(mean)} means and {len(std)} stds"
            )
        return self


def checked_card(where: str | Path, fields: Mapping[str, Any]) -> Card:
    """Validate the fields of a card.

    Args:
        where: the file that the fields were read from, the start of the error message.
        fields: the fields as read from JSON.

    Raises:
        ModelError: names the first invalid field.
    """
    try:
        return Card.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        field = f"card field {name}" if name else "its card"
        reason = first["msg"].removeprefix("Value error, ")
        raise ModelError(f"{where}: {field}: {reason}; correct it") from error
