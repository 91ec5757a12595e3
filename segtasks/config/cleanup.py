"""Settings of the mask's clean-up by a minimum mapping unit."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segtasks.config.base import ConfigModel


class Cleanup(ConfigModel):
    """Sieve the mask: regions below the minimum mapping unit go to their largest neighbour."""

    sieve_px: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        None,
        description="Minimum mapping unit in pixels: connected regions of one class with fewer "
        "pixels are merged into their largest neighbour.",
    )
    sieve_m2: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        None,
        description="Minimum mapping unit in square metres on the ground, rounded up to whole "
        "pixels of the size at the centre of the raster. Give either sieve_px or sieve_m2.",
    )
    connectedness: Literal[4, 8] = Field(
        4,
        description="Neighbours of a pixel. 8: pixels that touch only at a corner are connected "
        "too.",
    )

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.sieve_px is None) == (self.sieve_m2 is None):
            found = f"sieve_px is {self.sieve_px} and sieve_m2 is {self.sieve_m2}"
            raise ValueError(f"{found}; give one of sieve_px and sieve_m2")
        return self
