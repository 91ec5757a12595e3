"""The job's part on polygons: of which classes, how small, how simple, in what format."""

from typing import Annotated, Literal

from pydantic import Field

from segtasks.part import Part

SUFFIXES = {"parquet": "parquet", "flatgeobuf": "fgb", "gpkg": "gpkg"}


class Vectors(Part):
    """Polygons of the mask, one per piece of a class, in the raster's CRS.

    Where the raster does not say where on earth it lies, metres are pixels.
    """

    format: Literal["parquet", "flatgeobuf", "gpkg"] = Field(
        "parquet", description="GeoParquet, FlatGeobuf or GeoPackage."
    )
    without: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
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
