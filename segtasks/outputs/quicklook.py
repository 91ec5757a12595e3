"""The quicklook: image, mask and, where known, labels side by side, as one PNG."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from segtasks.outputs.publication import Publication
from segtasks.raster.grid import Window
from segtasks.raster.labels import NODATA
from segtasks.storage import cog, workspace

GAP_PX = 8
PAPER = 235
"""Grey of nodata in masks and of the gaps: unlike black, seldom a class's colour."""
PERCENTILES = (2, 98)
Rgba = tuple[int, int, int, int]


def make_quicklook(publication: Publication) -> bytes:
    """Make ``quicklook.png`` from the pixels kept by ingest and from the overviews of the mask."""
    plan, step = publication.plan, publication.plan.thumbnail_step
    small = Window(0, 0, -(-plan.raster.height // step), -(-plan.raster.width // step))
    image = workspace.read(plan.job.workspace_url, "thumbnail", small)
    mask = cog.read_small(str(publication.rasters["mask"]), small.shape)[0]
    return draw(image, mask, publication.class_band.colormap)


def draw(
    image: npt.NDArray[Any],
    mask: npt.NDArray[np.uint8],
    colormap: Mapping[int, Rgba],
    *more: npt.NDArray[np.uint8],
) -> bytes:
    """Return a PNG of ``image`` (C, h, w), ``mask`` (h, w) and ``more`` masks, left to right."""
    table = np.full((256, 3), PAPER, np.uint8)
    for class_id, rgba in colormap.items():
        table[class_id] = rgba[:3] if rgba[3] else PAPER
    panels = [visible(image, mask != NODATA), *(table[each] for each in (mask, *more))]
    gap = np.full((mask.shape[0], GAP_PX, 3), PAPER, np.uint8)
    row = [part for panel in panels for part in (panel, gap)][:-1]
    out = io.BytesIO()
    Image.fromarray(np.concatenate(row, axis=1)).save(out, "PNG")
    return out.getvalue()


def visible(image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return the first three bands, or the only one, of (C, h, w) as 8-bit RGB (h, w, 3).

    Values of other dtypes than uint8 are stretched by those that are ``valid`` (h, w).
    """
    bands = image[:3] if len(image) >= 3 else image[[0, 0, 0]]  # noqa: PLR2004 - RGB
    if bands.dtype == np.uint8:
        return np.moveaxis(bands, 0, -1)
    known = bands[:, valid] if valid.any() else bands
    low, high = np.percentile(known.astype(np.float64), PERCENTILES)
    scaled = (bands.astype(np.float64) - low) * (255 / max(high - low, 1e-9))
    return np.moveaxis(np.clip(scaled, 0, 255).astype(np.uint8), 0, -1)
