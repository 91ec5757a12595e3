"""How large a pixel is on the ground, whatever unit its CRS counts in."""

import numpy as np
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio import Affine

from segtasks.raster import Raster

EARTH_M = 6_371_009.0
"""Mean radius: within 0.6 % of any ellipsoid, which is enough to compare resolutions."""


def pixel_side_m(raster: Raster) -> float | None:
    """Return the side of a square as large as the raster's middle pixel, in metres.

    A degree is no length and a metre of EPSG:3857 only one at the equator, so the pixel's corners
    are taken to longitude and latitude. ``None`` where a raster does not say where it lies.
    """
    if raster.crs_wkt is None or raster.transform is None:
        return None
    col, row = raster.width / 2, raster.height / 2
    corners = [
        Affine(*raster.transform) @ at for at in ((col, row), (col + 1, row), (col, row + 1))
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
