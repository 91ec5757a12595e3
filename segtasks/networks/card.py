"""The card of a model: everything a state dict or a graph cannot show. Needs no torch."""

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
"""Under which a file that can carry a card has it."""
Form = Literal["torchscript", "exported", "onnx"]
Gives = Literal["logits", "probabilities"]


class Normalisation(BaseModel):
    """x = (raw - mean) / std per band, in the units of ``dtype``; invalid pixels become 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    dtype: str = Field("uint8", description="numpy name of the dtype the model was trained on")


class Graph(BaseModel):
    """How a foreign graph is run: what our own networks need not say.

    Attributes:
        form: of the file, by its content.
        gives: what comes out; probabilities get no second softmax.
        patch_px: the one side it takes; ``None``: any multiple of ``multiple_px``.
        least_px: the smallest side it takes; smaller patches are filled up.
        one_by_one: it takes no batches.
        fill: its input where there is no data, one value per band; empty: 0.
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
    """What is needed to run a model, stored as JSON in its file or beside it.

    Attributes:
        lattice_px: patches must start on multiples of this (total stride; facts in docs/networks).
        halo_px: exact halo: a trusted core this far from the patch edge equals the whole-image
            forward. ``None`` when an operator is global (no finite halo).
        effective_halo_px: half-width that holds 99 % of the squared input gradient.
        seam_halo_px: least halo that leaves the labels beside a cut as they are in one piece, but
            for 0.5 % (`seam_halo`); ``None`` when no imagery was at hand to measure it on.
        forward_bytes_per_px: peak activation memory of one forward per input pixel, bytes.
        gmac_per_mpx: ``None`` where it was not counted, as in foreign graphs; so ``parameters``.
        graph: how to run a foreign graph; ``None``: ``network`` is one of ours.
        weights_sha256: of all tensors (see `weights`); of a graph, of the whole file.
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
    """The card of these fields.

    Raises:
        ModelError: the first field that is not what it must be, and the file it stands in.
    """
    try:
        return Card.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        field = f"card field {name}" if name else "its card"
        said = first["msg"].removeprefix("Value error, ")
        raise ModelError(f"{where}: {field}: {said}; correct it") from error
