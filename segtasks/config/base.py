"""The base class of a job's parts, and types of fields that several jobs share."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from segtasks.config import form_schema

Auto = Literal["auto"]
CHUNK_MULTIPLE_PX = 64


class ConfigModel(BaseModel):
    """Base of jobs and their parts: immutable, without unknown keys, with a schema for forms."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        field_title_generator=form_schema.title,
        json_schema_extra=form_schema.simplify_schema,
    )


def _whole_chunks(value: int) -> int:
    if value % CHUNK_MULTIPLE_PX:
        below = value // CHUNK_MULTIPLE_PX * CHUNK_MULTIPLE_PX
        raise ValueError(
            f"{value} px is off the lattice, not a multiple of {CHUNK_MULTIPLE_PX}; "
            f"use {below} or {below + CHUNK_MULTIPLE_PX}"
        )
    return value


WholeChunks = AfterValidator(_whole_chunks)
"""Of a side in pixels: a multiple of the chunk, and so of the stride of every network here."""


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


OneOrMore = BeforeValidator(_as_tuple)
"""Of a tuple: a single value stands for a tuple of one, as in ``--scales 0.5``."""


def _without_trailing_slash(url: str) -> str:
    return url and (url.rstrip("/") or "/")


Prefix = Annotated[str, AfterValidator(_without_trailing_slash)]
"""A folder or object-store prefix below which files are written."""


def _is_safetensors(url: str) -> str:
    if PurePath(url).suffix != ".safetensors":
        raise ValueError(f"{url!r} is not the name of a model file; end it with .safetensors")
    return url


ModelFile = Annotated[str, AfterValidator(_is_safetensors)]
"""Path of a model file to write."""
