"""The header of a source raster as a plain value, without pixels or open files."""

from dataclasses import dataclass

import numpy as np

from segtasks.errors import SourceError

Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundControlPoint:
    """A ground control point: a pixel position (may be fractional) and its map position."""

    row: float
    col: float
    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterHeader:
    """Header of a source raster.

    Attributes:
        url: path or URL of the file.
        identity: a string that changes when the content of the source changes (size, ETag or
            modification time).
        height: number of rows.
        width: number of columns.
        bands: 1-based file bands that hold image data. An alpha band marks validity and is not
            among them.
        band_names: name of each band of the file, from the first on; an empty string means that
            the band has no name.
        dtype: numpy's name of the data type.
        palette: RGBA of the colour table of a one-band raster, 256 rows, else ``None``.
        transform: (a, b, c, d, e, f) with x = a*col + b*row + c and y = d*col + e*row + f;
            ``None`` if the file has none.
        crs_wkt: CRS of ``transform``, or of the GCPs if those georeference the raster, as WKT.
        gcps: ground control points.
        rpcs: GDAL's RPC metadata of a raster georeferenced by rational polynomials.
        dated: TIFFTAG_DATETIME as RFC 3339, taken as UTC since the tag has no time zone.
        warnings: remarks on the file for the user.
    """

    url: str
    identity: str
    height: int
    width: int
    bands: tuple[int, ...]
    dtype: str
    crs_wkt: str | None
    transform: Affine | None
    gcps: tuple[GroundControlPoint, ...] = ()
    rpcs: tuple[tuple[str, str], ...] = ()
    band_names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int, int], ...] | None = None
    dated: str | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if np.dtype(self.dtype).kind == "c":
            raise SourceError(
                f"{self.url}: pixels are {self.dtype}, which no network accepts; "
                "convert them to amplitude (a real dtype) first"
            )

    def name_of(self, band: int) -> str:
        """Return the name of a band (1-based) in the file, or an empty string."""
        return self.band_names[band - 1] if band <= len(self.band_names) else ""

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.height * self.width
