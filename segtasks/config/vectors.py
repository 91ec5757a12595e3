"""The job's part on polygons: of which classes, how small, how simple, in what format."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from segtasks.config.base import ConfigModel, OneOrMore
from segtasks.errors import JobError

SUFFIXES = {"parquet": "parquet", "flatgeobuf": "fgb", "gpkg": "gpkg"}


class Vectors(ConfigModel):
    """Polygons of the mask, one per piece of a class, in the raster's CRS.

    Where the raster does not say where on earth it lies, metres are pixels.
    """

    format: Literal["parquet", "flatgeobuf", "gpkg"] = Field(
        "parquet", description="GeoParquet, FlatGeobuf or GeoPackage."
    )
    without: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], OneOrMore] = Field(
        (), description="Names of classes that get no polygons, e.g. background."
    )
    minimum_area_m2: float = Field(
        0.0, ge=0, le=1e12, description="Smaller polygons are left out, in square metres."
    )
    simplify_m: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Corners that cut off less than a square of this side (metres) are dropped; "
        "polygons that share a border go on sharing it. 0: the outlines of the pixels.",
    )

    @property
    def file_name(self) -> str:
        """Under the prefix of the results."""
        return f"polygons.{SUFFIXES[self.format]}"


def drawn_classes(vectors: Vectors | None, names: Sequence[str]) -> tuple[int, ...]:
    """Ids of the classes that get polygons.

    Raises:
        JobError: a class is left out that the model does not have, or none is left.
    """
    if vectors is None:
        return ()
    unknown = [name for name in vectors.without if name not in names]
    if unknown:
        raise JobError(
            f"vectors.without: the model has no class {unknown[0]!r}; it has {', '.join(names)}"
        )
    drawn = tuple(i for i, name in enumerate(names) if name not in vectors.without)
    if not drawn:
        raise JobError("vectors.without: leaves no class to draw; name fewer")
    return drawn
