"""Pictures of a report, small and quick to decode: WebP for pixels, PNG for classes."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from segtasks.outputs.quicklook import Rgba, visible
from segtasks.raster.confidence import MAX_CONFIDENCE
from segtasks.raster.labels import NODATA

WEBP = {"format": "WEBP", "quality": 80, "method": 4}
RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Of confidence, from 0 to 1: viridis (van der Walt and Smith 2015), for any eye."""
Bytes = npt.NDArray[np.uint8]


def photo_picture(image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> bytes:
    """Return a WebP of ``image`` (C, h, w), transparent where it is not ``valid`` (h, w)."""
    return _webp(visible(image, valid), valid)


def class_picture(mask: Bytes, colormap: Mapping[int, Rgba]) -> bytes:
    """Return a PNG of ``mask`` (h, w) with a palette; nodata is transparent."""
    picture = Image.fromarray(mask, mode="P")
    table = np.zeros((256, 4), np.uint8)
    for class_id, rgba in colormap.items():
        table[class_id] = rgba
    picture.putpalette(table[:, :3].tobytes())
    return _saved(picture, format="PNG", optimize=True, transparency=table[:, 3].tobytes())


def confidence_picture(confidence: Bytes) -> bytes:
    """Return a WebP of ``confidence`` (h, w), 0..254 for 0..1, by `RAMP`; 255 is transparent."""
    anchors = np.array([list(bytes.fromhex(color[1:])) for color in RAMP], float)
    at, places = np.linspace(0, 1, 256), np.linspace(0, 1, len(RAMP))
    table = np.stack([np.interp(at, places, channel) for channel in anchors.T], axis=1)
    scaled = np.minimum(confidence.astype(np.uint16) * 255 // MAX_CONFIDENCE, 255)
    return _webp(table.round().astype(np.uint8)[scaled], confidence != NODATA)


def _webp(rgb: Bytes, opaque: npt.NDArray[np.bool_]) -> bytes:
    """Return a WebP of (h, w, 3), with an alpha channel only where something is transparent."""
    if not opaque.all():
        rgb = np.dstack([rgb, np.where(opaque, 255, 0).astype(np.uint8)])
    return _saved(Image.fromarray(np.ascontiguousarray(rgb)), **WEBP)


def _saved(picture: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own
    out = io.BytesIO()
    picture.save(out, **options)
    return out.getvalue()
