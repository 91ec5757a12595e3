"""What the parts of a job have in common."""

from typing import Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from segtasks.config import form_schema

Auto = Literal["auto"]
CHUNK_MULTIPLE_PX = 64


class ConfigModel(BaseModel):
    """Base of the job's parts: unknown keys are refused, values do not change, forms read well."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        field_title_generator=form_schema.title,
        json_schema_extra=form_schema.simplify_schema,
    )


def _whole_chunks(value: int) -> int:
    """Tiles and windows are whole chunks, and on the lattice of every network of the line."""
    if value % CHUNK_MULTIPLE_PX:
        below = value // CHUNK_MULTIPLE_PX * CHUNK_MULTIPLE_PX
        raise ValueError(
            f"{value} px is off the lattice, not a multiple of {CHUNK_MULTIPLE_PX}; "
            f"use {below} or {below + CHUNK_MULTIPLE_PX}"
        )
    return value


WholeChunks = AfterValidator(_whole_chunks)
