"""True area of pixels on the ellipsoid, in m², whatever the CRS says its units are.

A degree is no length, a US survey foot no metre, and a metre of EPSG:3857 is cos(latitude) of one.
So the corners of strips one pixel high and up to STRIP_PX wide are taken from the raster's CRS to
longitude and latitude on its own datum, and from there to an equal-area projection of the same
ellipsoid, where the shoelace formula gives their area; within a strip pixels share it evenly.

    cylindrical equal area: meridians and parallels are straight, so strips of geographic rasters
    and of EPSG:3857 are exact; Lambert azimuthal where a projected raster lies near a pole.
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
_SIMPSON = {1: np.array([1.0]), 2: np.array([1, 1]) / 2, 3: np.array([1, 4, 1]) / 6}
"""Weights of the ends and the middle, as many as a window has."""


@dataclass(frozen=True)
class PixelAreas:
    """Areas of the pixels of one raster."""

    transform: Affine
    to_degrees: Transformer
    to_metres: Proj

    def read(self, window: Window) -> Floats:
        """Area (h, w) of each pixel of a window, m²."""
        cols = np.unique([*range(window.col, window.col_stop, STRIP_PX), window.col_stop])
        rows = np.arange(window.row, window.row_stop + 1)
        x, y = self._metres(*np.meshgrid(cols.astype(np.float64), rows.astype(np.float64)))
        # Half the cross product of a quadrangle's diagonals.
        falling = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
        rising = x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]
        strips = np.abs(falling[0] * rising[1] - falling[1] * rising[0]) / 2
        widths = np.diff(cols)
        return np.repeat(strips / widths, widths, axis=1)

    def spread(self, window: Window) -> tuple[float, float]:
        """Mean area of a window's pixels in m², and how far the largest is from the least.

        Of 3 x 3 pixels, weighted by Simpson's rule; the second as a share of the first.
        """
        rows, cols = _ends(window.row, window.row_stop), _ends(window.col, window.col_stop)
        found = np.array([[self.read(Window(r, c, 1, 1))[0, 0] for c in cols] for r in rows])
        mean = float(_SIMPSON[len(rows)] @ found @ _SIMPSON[len(cols)])
        return mean, float(np.ptp(found)) / mean

    def _metres(self, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Pixel corners as coordinates of the equal-area projection."""
        x, y = self.to_metres(*self.to_degrees.transform(*_placed(self.transform, cols, rows)))
        return np.asarray(x), np.asarray(y)


def pixel_areas(raster: RasterHeader) -> PixelAreas | None:
    """The areas of a raster's pixels; ``None`` when it does not say where on earth they are."""
    if raster.crs_wkt is None or raster.transform is None:
        return None
    try:
        crs = CRS.from_wkt(raster.crs_wkt)
    except CRSError:
        return None
    if crs.ellipsoid is None:  # a local grid
        return None
    axes = {"a": crs.ellipsoid.semi_major_metre, "b": crs.ellipsoid.semi_minor_metre}
    # In degrees, which the raster's own geographic CRS need not be (grads from Paris).
    degrees = CRS.from_dict({"proj": "longlat", **axes})
    to_degrees = Transformer.from_crs(crs, degrees, always_xy=True)
    middle = np.array(raster.width / 2), np.array(raster.height / 2)
    lon, lat = map(float, to_degrees.transform(*_placed(raster.transform, *middle)))
    if not np.isfinite([lon, lat]).all():
        return None
    near_pole = not crs.is_geographic and abs(lat) > POLAR_DEGREES
    place = {"proj": "laea", "lat_0": lat} if near_pole else {"proj": "cea"}
    to_metres = Proj({**place, "lon_0": lon, "units": "m", **axes})
    return PixelAreas(raster.transform, to_degrees, to_metres)


def _ends(start: int, stop: int) -> list[int]:
    """First, middle and last pixel, each once."""
    return sorted({start, (start + stop) // 2, stop - 1})


def _placed(transform: Affine, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
    a, b, c, d, e, f = transform
    return a * cols + b * rows + c, d * cols + e * rows + f


EARTH_M = 6_371_009.0
"""Mean radius: within 0.6 % of any ellipsoid, which is enough to compare resolutions."""


def pixel_side_m(raster: RasterHeader) -> float | None:
    """Return the side of a square as large as the raster's middle pixel, in metres.

    A degree is no length and a metre of EPSG:3857 only one at the equator, so the pixel's corners
    are taken to longitude and latitude. ``None`` where a raster does not say where it lies.
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
    if not np.isfinite([lon, lat]).all():  # outside of what its CRS is defined for
        return None
    east, north = (lon[1:] - lon[0]) * np.cos(lat[0]), lat[1:] - lat[0]
    side = EARTH_M * float(np.sqrt(abs(east[0] * north[1] - east[1] * north[0])))
    return side if side > 0 else None


def pixel_area_m2(raster: RasterHeader) -> float | None:
    """True area of the middle pixel; ``None`` where a raster does not say where it lies."""
    areas = pixel_areas(raster)
    middle = Window(raster.height // 2, raster.width // 2, 1, 1)
    return float(areas.read(middle)[0, 0]) if areas else None


def length_px(metres: float, raster: RasterHeader) -> float:
    """A length on the ground in sides of a square pixel; as it is, where pixels have no size."""
    area = pixel_area_m2(raster)
    return metres / sqrt(area) if area else metres
