"""Area of pixels on the ellipsoid in m², for any unit of the CRS.

A degree is no length, a US survey foot is no metre, and a metre of EPSG:3857 is cos(latitude)
metres. Therefore the corners of strips one pixel high and up to STRIP_PX wide are transformed from
the raster's CRS to longitude and latitude on its own datum, and from there to an equal-area
projection of the same ellipsoid. The shoelace formula gives the area of each strip, which is
divided evenly among its pixels.

    cylindrical equal area   meridians and parallels are straight lines, so strips of geographic
                             rasters and of EPSG:3857 are exact
    Lambert azimuthal        for projected rasters near a pole
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError, ProjError

from segtasks.raster.grid import Window
from segtasks.raster.header import Affine, RasterHeader

Floats = npt.NDArray[np.float64]

STRIP_PX = 64
POLAR_DEGREES = 70.0
EARTH_M = 6_371_009.0
"""Mean radius of the earth, within 0.6 % of any ellipsoid."""
_SIMPSON = {1: np.array([1.0]), 2: np.array([1, 1]) / 2, 3: np.array([1, 4, 1]) / 6}
"""Weights of the first, middle and last pixel, by how many different ones a window has."""


@dataclass(frozen=True)
class PixelAreas:
    """The areas of the pixels of one raster.

    Attributes:
        transform: the raster's geotransform.
        to_degrees: from the raster's CRS to longitude and latitude.
        to_metres: from longitude and latitude to the equal-area projection.
    """

    transform: Affine
    to_degrees: Transformer
    to_metres: Proj

    def read(self, window: Window) -> Floats:
        """Return the area (h, w) of each pixel of a window, in m²."""
        cols = np.unique([*range(window.col, window.col_stop, STRIP_PX), window.col_stop])
        rows = np.arange(window.row, window.row_stop + 1)
        x, y = self._project(*np.meshgrid(cols.astype(np.float64), rows.astype(np.float64)))
        # Half the cross product of a quadrangle's diagonals.
        falling = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
        rising = x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]
        strips = np.abs(falling[0] * rising[1] - falling[1] * rising[0]) / 2
        widths = np.diff(cols)
        return np.repeat(strips / widths, widths, axis=1)

    def spread(self, window: Window) -> tuple[float, float]:
        """Estimate mean and range of the pixel areas in a window from 3 x 3 pixels.

        Returns:
            The mean area in m² by Simpson's rule, and the difference between the largest and the
            smallest area as a fraction of the mean.
        """
        rows, cols = _ends(window.row, window.row_stop), _ends(window.col, window.col_stop)
        areas = np.array([[self.read(Window(r, c, 1, 1))[0, 0] for c in cols] for r in rows])
        mean = float(_SIMPSON[len(rows)] @ areas @ _SIMPSON[len(cols)])
        return mean, float(np.ptp(areas)) / mean

    def _project(self, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Return the equal-area coordinates of pixel corners."""
        map_xy = _map_coordinates(self.transform, cols, rows)
        x, y = self.to_metres(*self.to_degrees.transform(*map_xy))
        return np.asarray(x), np.asarray(y)


def pixel_areas(raster: RasterHeader) -> PixelAreas | None:
    """Return the areas of a raster's pixels, or ``None`` if it is not georeferenced."""
    if raster.crs_wkt is None or raster.transform is None:
        return None
    try:
        crs = CRS.from_wkt(raster.crs_wkt)
    except CRSError:
        return None
    if crs.ellipsoid is None:  # a local grid
        return None
    axes = {"a": crs.ellipsoid.semi_major_metre, "b": crs.ellipsoid.semi_minor_metre}
    # The raster's own geographic CRS may have other units or another meridian (grads from Paris).
    degrees = CRS.from_dict({"proj": "longlat", **axes})
    to_degrees = Transformer.from_crs(crs, degrees, always_xy=True)
    middle = np.array(raster.width / 2), np.array(raster.height / 2)
    lon, lat = map(float, to_degrees.transform(*_map_coordinates(raster.transform, *middle)))
    if not np.isfinite([lon, lat]).all():
        return None
    near_pole = not crs.is_geographic and abs(lat) > POLAR_DEGREES
    place = {"proj": "laea", "lat_0": lat} if near_pole else {"proj": "cea"}
    to_metres = Proj({**place, "lon_0": lon, "units": "m", **axes})
    return PixelAreas(raster.transform, to_degrees, to_metres)


def _ends(start: int, stop: int) -> list[int]:
    """Return the first, middle and last pixel without duplicates."""
    return sorted({start, (start + stop) // 2, stop - 1})


def _map_coordinates(transform: Affine, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
    a, b, c, d, e, f = transform
    return a * cols + b * rows + c, d * cols + e * rows + f


def pixel_side_m(raster: RasterHeader) -> float | None:
    """Return the side of a square with the area of the raster's middle pixel, in metres.

    The pixel's corners are transformed to longitude and latitude on a sphere, which is enough to
    compare resolutions. The result is ``None`` if the raster is not georeferenced.
    """
    if raster.crs_wkt is None or raster.transform is None:
        return None
    col, row = raster.width / 2, raster.height / 2
    corners = [
        rasterio.Affine(*raster.transform) @ at
        for at in ((col, row), (col + 1, row), (col, row + 1))
    ]
    xs, ys = zip(*corners, strict=True)
    try:
        to_degrees = Transformer.from_crs(raster.crs_wkt, "EPSG:4326", always_xy=True)
    except ProjError:  # a local grid
        return None
    lon, lat = np.radians(to_degrees.transform(xs, ys))
    if not np.isfinite([lon, lat]).all():  # outside the area for which its CRS is defined
        return None
    east, north = (lon[1:] - lon[0]) * np.cos(lat[0]), lat[1:] - lat[0]
    side = EARTH_M * float(np.sqrt(abs(east[0] * north[1] - east[1] * north[0])))
    return side if side > 0 else None


def pixel_area_m2(raster: RasterHeader) -> float | None:
    """Return the area of the middle pixel, or ``None`` if the raster is not georeferenced."""
    areas = pixel_areas(raster)
    middle = Window(raster.height // 2, raster.width // 2, 1, 1)
    return float(areas.read(middle)[0, 0]) if areas else None


def length_px(metres: float, raster: RasterHeader) -> float:
    """Convert a length on the ground to pixels.

    The length is returned unchanged if the raster is not georeferenced.
    """
    area = pixel_area_m2(raster)
    return metres / sqrt(area) if area else metres
