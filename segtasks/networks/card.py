"""The card of a model file: everything a state dict cannot show. Needs no torch."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

HexColor = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class ClassEntry(BaseModel):
    """One row of the legend: class id, name and colour."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(ge=0, le=254, description="class id in the mask; 255 is nodata")
    name: str = Field(min_length=1)
    color: HexColor = Field(description="#rrggbb")


class Normalisation(BaseModel):
    """x = (raw - mean) / std per band, in the units of ``dtype``; invalid pixels become 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    dtype: str = Field("uint8", description="numpy name of the dtype the model was trained on")


class Card(BaseModel):
    """What is needed to run a network's weights, stored as JSON in the safetensors metadata.

    Attributes:
        lattice_px: patches must start on multiples of this (total stride; facts in docs/networks).
        halo_px: exact halo: a trusted core this far from the patch edge equals the whole-image
            forward. ``None`` when an operator is global (no finite halo).
        effective_halo_px: half-width that holds 99 % of the squared input gradient.
        seam_halo_px: least halo that leaves the labels beside a cut as they are in one piece, but
            for 0.5 % (`seam_halo`); ``None`` when no imagery was at hand to measure it on.
        forward_bytes_per_px: peak activation memory of one forward per input pixel, bytes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    network: str
    width: PositiveFloat = 1.0
    variant: dict[str, bool | int | float | str] = Field(default_factory=dict)
    classes: tuple[ClassEntry, ...] = Field(min_length=2)
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
    gmac_per_mpx: PositiveFloat
    parameters: PositiveInt
    licence: str
    provenance: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
