"""Settings of the polygons that are made of the mask."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from segtasks.config.base import ConfigModel, OneOrMore
from segtasks.errors import JobError

SUFFIXES = {"parquet": "parquet", "flatgeobuf": "fgb", "gpkg": "gpkg"}


class Vectors(ConfigModel):
    """Polygons of the mask, one per connected region of a class, in the CRS of the raster.

    If the raster is not georeferenced, lengths in metres are taken as pixels.
    """

    format: Literal["parquet", "flatgeobuf", "gpkg"] = Field(
        "parquet", description="File format: GeoParquet, FlatGeobuf or GeoPackage."
    )
    without: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], OneOrMore] = Field(
        (), description="Names of classes without polygons, e.g. background."
    )
    minimum_area_m2: float = Field(
        0.0, ge=0, le=1e12, description="Polygons below this area in square metres are omitted."
    )
    simplify_m: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Simplification tolerance in metres: vertices whose triangle with their "
        "neighbours is smaller than a square of this side are removed (Visvalingam). Shared "
        "borders stay shared. 0: the outlines of the pixels.",
    )

    @property
    def file_name(self) -> str:
        """Name of the file below the prefix of the results."""
        return f"polygons.{SUFFIXES[self.format]}"


def drawn_classes(vectors: Vectors | None, names: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of the classes with polygons.

    Raises:
        JobError: ``without`` names a class that the model does not have, or all of its classes.
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
        raise JobError("vectors.without: names all classes of the model; name fewer")
    return drawn
