"""What is known of a source raster from its header: a pure value, no pixels, no handles."""

from dataclasses import dataclass

import numpy as np

from segtasks.errors import SourceError

Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundControlPoint:
    """One GCP: pixel position (may be fractional) and map position."""

    row: float
    col: float
    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterHeader:
    """Header of a source raster.

    Attributes:
        identity: what changes when the source's bytes change (size, ETag or modification time).
        bands: 1-based file bands that hold colour (alpha is validity, never a band).
        band_names: what the file calls each of its bands, from the first on; empty: not at all.
        palette: RGBA of the colour table of a one-band raster, 256 rows, else ``None``.
        transform: (a, b, c, d, e, f) with x = a*col + b*row + c and y = d*col + e*row + f;
            ``None`` when the file has none.
        crs_wkt: of ``transform``, or of the GCPs when those place the raster.
        rpcs: GDAL's RPC metadata of a raster placed by rational polynomials.
        dated: TIFFTAG_DATETIME as RFC 3339 (it names no zone: UTC), if there is one.
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
                f"{self.url}: pixels are {self.dtype}, which no network takes; "
                "convert to amplitude (a real dtype) first"
            )

    def name_of(self, band: int) -> str:
        """What the file calls a band (1-based), by its description or colour; empty: not at all."""
        return self.band_names[band - 1] if band <= len(self.band_names) else ""

    @property
    def pixels(self) -> int:
        """Height x width."""
        return self.height * self.width
