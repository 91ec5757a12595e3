"""The job's part on cleaning the mask up: how small a piece may be."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segtasks.config.base import ConfigModel


class Cleanup(ConfigModel):
    """Sieve by a minimum mapping unit: smaller pieces go to their largest neighbour."""

    sieve_px: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        None, description="Pieces of one class with fewer pixels go to their largest neighbour."
    )
    sieve_m2: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        None,
        description="The same in square metres on the ground, rounded up to pixels as large as "
        "the raster's middle one. Give one of the two.",
    )
    connectedness: Literal[4, 8] = Field(
        4, description="8: pixels that touch at a corner belong together too."
    )

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.sieve_px is None) == (self.sieve_m2 is None):
            raise ValueError("give one of sieve_px and sieve_m2")
        return self
